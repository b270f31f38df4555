//! kubectl, where this machine has one: everything that it makes without a file.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use gantry_tests::{Kubectl, TestCluster, has};

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_creates_every_kind() {
    let Some(program) = Kubectl::program() else { return };
    let test = TestCluster::start(1).await;
    let kubectl = Kubectl::new(&test, &program);
    let image = test.image("web:v1");
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (plain, env) = (file("plain.txt", "text"), file("vars.env", "A=1\n# no\nB=two words\n"));
    let paths = test.cluster().paths();
    let (crt, key) = (paths.certificate("kubelet-node-1"), paths.key("kubelet-node-1"));

    let created = [
        ("namespace one".to_owned(), "namespace/one created"),
        ("serviceaccount robot".into(), "serviceaccount/robot created"),
        ("clusterrole reader --verb=get,list,watch --resource=pods,deployments.apps".into(), "clusterrole.rbac"),
        ("clusterrole health --verb=get --non-resource-url=/healthz,/livez/*".into(), "/health created"),
        ("clusterrole all --aggregation-rule=rbac.example.com/aggregate=true".into(), "/all created"),
        ("clusterrolebinding reader --clusterrole=reader --serviceaccount=default:robot".into(), "/reader created"),
        ("role editor --verb=* --resource=configmaps --resource-name=a --resource-name=b".into(), "role.rbac"),
        ("rolebinding editor --role=editor --user=jane --group=team".into(), "rolebinding.rbac"),
        (format!("configmap files --from-file={plain} --from-file=other={plain} --from-literal=k=v"), "/files created"),
        (format!("configmap vars --from-env-file={env}"), "configmap/vars created"),
        (format!("secret generic files --from-file={plain} --from-literal=password=hunter2"), "secret/files created"),
        ("secret docker-registry pull --docker-server=r.example.com --docker-username=u --docker-password=p".into(),
            "secret/pull created"),
        (format!("secret tls pair --cert={} --key={}", crt.display(), key.display()), "secret/pair created"),
        (format!("deployment web --image={image} --replicas=2 --port=8080"), "deployment.apps/web created"),
        (format!("job once --image={image}"), "job.batch/once created"),
        (format!("cronjob often --image={image} --schedule=*/5_*_*_*_*"), "cronjob.batch/often created"),
        ("job now --from=cronjob/often".into(), "job.batch/now created"),
        ("service clusterip plain --tcp=80:8080 --tcp=443".into(), "service/plain created"),
        ("service clusterip headless --clusterip=None --tcp=80".into(), "service/headless created"),
        ("service nodeport door --tcp=80:8080 --node-port=30123".into(), "service/door created"),
        ("service loadbalancer wide --tcp=80:8080".into(), "service/wide created"),
        ("service externalname far --external-name=example.com".into(), "service/far created"),
        ("ingress front --class=nginx --rule=example.com/api*=plain:80,tls=pair --annotation=a=b".into(),
            "ingress.networking.k8s.io/front created"),
        ("poddisruptionbudget half --selector=app=web --max-unavailable=50%".into(),
            "poddisruptionbudget.policy/half created"),
        ("priorityclass high --value=1000 --description=first --preemption-policy=Never".into(),
            "priorityclass.scheduling.k8s.io/high created"),
        ("quota small --hard=pods=10,requests.cpu=4 --namespace=one".into(), "resourcequota/small created"),
        ("quota scoped --hard=pods=2 --scopes=BestEffort --namespace=one".into(), "resourcequota/scoped created"),
    ];
    for (line, wanted) in &created {
        // A schedule has spaces in it.
        let args: Vec<String> = line.split(' ').map(|word| word.replace('_', " ")).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let args = [&["create"], &args[..]].concat();
        // The server alone says whether it would do it, and does not.
        let tried = kubectl.said_of(&[&args[..], &["--dry-run=server"]].concat()).await;
        has(&tried, &["(server dry run)"]);
        has(&kubectl.said_of(&args).await, &[wanted]);
    }
    let again = kubectl.refused("create namespace one").await;
    has(&again, &[r#"Error from server (AlreadyExists): namespaces "one" already exists"#]);
    let token = kubectl.said("create token robot --duration=1h --audience=https://example.com").await;
    assert_eq!(token.trim().split('.').count(), 3, "{token}");
    let bound = kubectl.said("create token robot --bound-object-kind=Secret --bound-object-name=files").await;
    assert_eq!(bound.trim().split('.').count(), 3, "{bound}");
    has(&kubectl.refused("create token nobody").await, &[r#"serviceaccounts "nobody" not found"#]);

    let values = [
        ("configmap/files {.data}", r#"{"k":"v","other":"text","plain.txt":"text"}"#),
        ("configmap/vars {.data.B}", "two words"),
        ("secret/files {.data.password}", "aHVudGVyMg=="),
        ("secret/pull {.type}", "kubernetes.io/dockerconfigjson"),
        ("secret/pair {.type}", "kubernetes.io/tls"),
        ("deployment/web {.spec.template.spec.containers[0].ports[0].containerPort}", "8080"),
        ("cronjob/often {.spec.schedule}", "*/5 * * * *"),
        ("job/now {.metadata.ownerReferences[0].kind}", "CronJob"),
        ("service/plain {.spec.ports[*].port}", "80 443"),
        ("service/headless {.spec.clusterIP}", "None"),
        ("service/door {.spec.ports[0].nodePort}", "30123"),
        ("service/far {.spec.externalName}", "example.com"),
        ("ingress/front {.spec.rules[0].http.paths[0].pathType}", "Prefix"),
        ("poddisruptionbudget/half {.spec.maxUnavailable}", "50%"),
        ("priorityclass/high {.value}", "1000"),
        ("clusterrole/reader {.rules[*].resources}", r#"["pods"] ["deployments"]"#),
        ("rolebinding/editor {.subjects[*].name}", "jane team"),
    ];
    for (line, wanted) in values {
        let (object, path) = line.split_once(' ').unwrap();
        let value = kubectl.said_of(&["get", object, "-o", &format!("jsonpath={path}")]).await;
        assert_eq!(value, wanted, "{object}");
    }

    // Everything that was made can be described, and tells what matters.
    let described = [
        ("namespace one", "Resource Quotas"),
        ("serviceaccount robot", "Mountable secrets"),
        ("clusterrole reader", "deployments.apps"),
        ("clusterrolebinding reader", "ServiceAccount  robot"),
        ("role editor", "configmaps"),
        ("rolebinding editor", "jane"),
        ("configmap files", "plain.txt"),
        ("secret files", "password:"),
        ("deployment web", "StrategyType:"),
        ("replicaset -l app=web", "Controlled By:  Deployment/web"),
        ("job once", "Parallelism:"),
        ("cronjob often", "Schedule:"),
        ("service plain", "Endpoints:"),
        ("endpointslices", "AddressType:"),
        ("ingress front", "example.com"),
        ("poddisruptionbudget half", "Max unavailable:"),
        ("priorityclass high", "PreemptionPolicy:"),
        ("quota small -n one", "requests.cpu"),
        ("node node-1", "Allocated resources:"),
    ];
    for (what, wanted) in described {
        has(&kubectl.said(&format!("describe {what}")).await, &[wanted]);
    }
    has(&kubectl.refused("describe pod nothing").await, &[r#"pods "nothing" not found"#]);

    has(
        &kubectl.said("expose deployment web --port=80 --target-port=8080 --name=shown").await,
        &["service/shown exposed"],
    );
    let ports =
        kubectl.said("get service shown -o jsonpath={.spec.selector.app}:{.spec.ports[0].targetPort}").await;
    assert_eq!(ports, "web:8080");
    let scaled = kubectl.said("autoscale deployment web --min=2 --max=4 --cpu-percent=80").await;
    has(&scaled, &["horizontalpodautoscaler.autoscaling/web autoscaled"]);
    has(&kubectl.said("describe hpa web").await, &["Max replicas:", "80%"]);
    has(&kubectl.said("get hpa").await, &["Deployment/web", "MINPODS"]);
    let run = format!("run alone --image={image} --labels=app=alone,tier=x --env=A=b --port=8080 --expose");
    has(&kubectl.said(&run).await, &["service/alone created", "pod/alone created"]);
    kubectl.said("wait pod/alone --for=condition=Ready --timeout=60s").await;
    has(&kubectl.said("describe pod alone").await, &["Container ID:", "A:  b", "QoS Class:", "Events:"]);

    // By label, by name, by file and all of a kind.
    has(&kubectl.said("delete pod,service -l app=alone --now").await, &[r#"pod "alone""#]);
    has(&kubectl.said("delete jobs --all --wait=false").await, &[r#"job.batch "now" deleted"#]);
    has(&kubectl.said("delete cronjob/often ingress/front").await, &[r#"ingress.networking.k8s.io "front""#]);
    assert_eq!(kubectl.said("delete cronjob often --ignore-not-found").await, "");
    has(&kubectl.refused("delete cronjob often").await, &[r#"cronjobs.batch "often" not found"#]);
    kubectl.said("delete deployment web --cascade=foreground --timeout=60s").await;
    assert_eq!(kubectl.said("get pods -l app=web -o name").await, "");
    kubectl.said("delete namespace one --timeout=60s").await;
    test.down_purged().await;
}
