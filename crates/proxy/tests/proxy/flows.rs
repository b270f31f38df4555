//! UDP services, and flows that outlive their endpoint.

use std::time::Duration;

use gantry_proxy::model::Protocol::Udp;

use crate::bed::{CLUSTER_IP, Datagrams, NODE_IP, NODE_PORT, PORT, answered, name, on_a_node, service};

#[test]
fn udp_flows_move_when_their_endpoint_goes() {
    on_a_node(|mut bed| {
        let (one, two) = (bed.serve("a"), bed.serve("b"));
        let client = bed.client();
        bed.snapshot.services.insert(name(Udp), service(Udp));
        bed.endpoints(Udp, &[&one]);
        bed.sync();
        let flows = [
            Datagrams::open(&client.namespace, CLUSTER_IP, PORT),
            Datagrams::open(&bed.outside, NODE_IP, NODE_PORT),
            Datagrams::open(bed.node(), CLUSTER_IP, PORT),
        ];
        for flow in &flows {
            assert_eq!(answered(flow).name, "a");
        }
        // While its endpoint is there a flow stays, whoever joins.
        bed.endpoints(Udp, &[&one, &two]);
        bed.sync();
        for flow in &flows {
            assert_eq!(answered(flow).name, "a");
        }
        bed.endpoints(Udp, &[&two]);
        bed.sync();
        for flow in &flows {
            assert_eq!(answered(flow).name, "b");
        }
        // The same across a restart of the proxy.
        bed.restart_proxy();
        bed.endpoints(Udp, &[&one]);
        bed.sync();
        for flow in &flows {
            assert_eq!(answered(flow).name, "a");
        }
    });
}

#[test]
fn udp_flows_from_before_the_first_endpoint_reach_it() {
    on_a_node(|mut bed| {
        let pod = bed.serve("a");
        let client = bed.client();
        // Nothing knows the service yet: the packets are tracked as going to the cluster IP itself.
        bed.sync();
        let flow = Datagrams::open(&client.namespace, CLUSTER_IP, PORT);
        assert_eq!(flow.ask(Duration::from_millis(100)), None);
        bed.snapshot.services.insert(name(Udp), service(Udp));
        bed.sync();
        assert_eq!(flow.ask(Duration::from_millis(100)), None);
        bed.endpoints(Udp, &[&pod]);
        bed.sync();
        // A refusal by ICMP may still be queued on the socket; it is reported once.
        let answer = flow.ask(Duration::from_secs(5)).or_else(|| flow.ask(Duration::from_secs(5)));
        assert_eq!(answer.unwrap().name, "a");
    });
}
