//! Seats are neither lost nor given twice, and flows get the same.

use proptest::prelude::*;

use super::*;

fn queuing(queues: usize, hand: usize, length: usize) -> Option<Queuing> {
    Some(Queuing { queues, hand, length })
}

fn run(arrival: Arrival) -> Place {
    match arrival {
        Arrival::Run(place) => place,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_has_no_queue_runs_or_is_refused() {
    let mut fair = Fair::new(Some(2), None);
    let first = run(fair.arrive(0.0, 1, 1, || 'a'));
    run(fair.arrive(0.0, 1, 1, || 'b'));
    assert_eq!(fair.arrive(0.0, 1, 1, || 'c'), Arrival::NoSeat);
    fair.finish(1.0, first);
    run(fair.arrive(1.0, 1, 1, || 'd'));
}

#[test]
fn what_is_exempt_never_waits() {
    let mut fair = Fair::new(None, None);
    for _ in 0..10_000 {
        run(fair.arrive(0.0, 1, 5, || ()));
    }
    assert_eq!((fair.executing, fair.seats_in_use), (10_000, 50_000));
}

#[test]
fn a_full_queue_refuses() {
    let mut fair = Fair::new(Some(1), queuing(1, 1, 2));
    let running = run(fair.arrive(0.0, 1, 1, || 'a'));
    assert!(matches!(fair.arrive(0.0, 1, 1, || 'b'), Arrival::Wait(..)));
    let Arrival::Wait(number, queue) = fair.arrive(0.0, 1, 1, || 'c') else { panic!("it waits") };
    assert_eq!(fair.arrive(0.0, 1, 1, || 'd'), Arrival::Full);
    assert!(fair.cancel(0.0, number, queue));
    assert!(!fair.cancel(0.0, number, queue));
    assert!(matches!(fair.arrive(0.0, 1, 1, || 'e'), Arrival::Wait(..)));
    assert!(fair.next(0.0).is_none());
    fair.finish(1.0, running);
    assert_eq!(fair.next(1.0).map(|(ticket, _)| ticket), Some('b'));
    assert!(fair.next(1.0).is_none());
}

#[test]
fn what_wants_more_than_there_is_runs_alone() {
    let mut fair = Fair::new(Some(3), queuing(2, 1, 9));
    let wide = run(fair.arrive(0.0, 1, 5, || 'a'));
    assert!(matches!(fair.arrive(0.0, 2, 1, || 'b'), Arrival::Wait(..)));
    fair.finish(1.0, wide);
    assert_eq!(fair.next(1.0).map(|(ticket, _)| ticket), Some('b'));
}

#[test]
fn a_need_is_averaged_over_its_time() {
    let mut fair = Fair::new(Some(2), queuing(1, 1, 9));
    let first = run(fair.arrive(0.0, 1, 2, || ()));
    assert!(matches!(fair.arrive(0.0, 1, 2, || ()), Arrival::Wait(..)));
    fair.finish(5.0, first);
    let (_, second) = fair.next(5.0).unwrap();
    fair.finish(10.0, second);
    let observed = fair.observe(20.0);
    assert_eq!((observed.average, observed.high), (1.5, 4));
    assert!((observed.deviation - 2.75_f64.sqrt()).abs() < 1e-9, "{observed:?}");
    assert_eq!(fair.observe(30.0), Observed::default());
}

#[test]
fn fewer_queues_are_emptied_first() {
    let mut fair = Fair::new(Some(1), queuing(64, 8, 9));
    let mut running = Some(run(fair.arrive(0.0, 0, 1, || 0)));
    for flow in 1..50_u64 {
        let flow_hash = shuffle::hash("s", &flow.to_string());
        assert!(matches!(fair.arrive(0.0, flow_hash, 1, || flow), Arrival::Wait(..)));
    }
    fair.set_queuing(queuing(2, 1, 9));
    let mut seen = 0;
    while let Some(place) = running.take() {
        fair.finish(1.0, place);
        running = fair.next(1.0).map(|(_, place)| {
            seen += 1;
            place
        });
    }
    assert_eq!((seen, fair.queues.len(), fair.active), (49, 2, 0));
}

/// Serves flows that each keep `backlog` requests of `seats` waiting, each taking `time`; says what each got.
fn serve(limit: u32, flows: &[(usize, u32, f64)]) -> Vec<f64> {
    // As many queues as flows, one each, so that no two share one.
    let mut fair: Fair<usize> = Fair::new(Some(limit), queuing(flows.len(), 1, 1000));
    let mut got = vec![0.0; flows.len()];
    let mut running: Vec<(f64, usize, Place)> = Vec::new();
    let mut now = 0.0;
    for (flow, (backlog, seats, _)) in flows.iter().enumerate() {
        for _ in 0..*backlog {
            if let Arrival::Run(place) = fair.arrive(now, flow as u64, *seats, || flow) {
                running.push((now + flows[flow].2, flow, place));
            }
        }
    }
    while now < 20.0 {
        let next = running.iter().enumerate().min_by(|(_, a), (_, b)| a.0.total_cmp(&b.0));
        let (end, flow, place) = running.swap_remove(next.expect("something runs").0);
        now = end;
        fair.finish(now, place);
        got[flow] += flows[flow].2 * f64::from(flows[flow].1);
        if let Arrival::Run(place) = fair.arrive(now, flow as u64, flows[flow].1, || flow) {
            running.push((now + flows[flow].2, flow, place));
        }
        while let Some((flow, place)) = fair.next(now) {
            running.push((now + flows[flow].2, flow, place));
        }
    }
    got
}

#[test]
fn flows_that_want_more_than_there_is_get_the_same() {
    // Many small requests, few long ones, wide ones: seats for a time are what counts.
    let got = serve(8, &[(400, 1, 0.01), (20, 1, 0.1), (30, 2, 0.02)]);
    let (least, most) =
        (got.iter().copied().fold(f64::MAX, f64::min), got.iter().copied().fold(0.0, f64::max));
    assert!(least > 0.8 * most, "{got:?}");
    assert!(got.iter().sum::<f64>() > 0.9 * 8.0 * 20.0, "{got:?}");
}

#[test]
fn who_wants_little_gets_it_at_once() {
    let got = serve(10, &[(500, 1, 0.01), (1, 1, 0.01)]);
    // It has one request at a time, and is never behind more than one of the other.
    assert!(got[1] > 0.4 * 20.0, "{got:?}");
}

#[derive(Debug, Clone)]
enum Step {
    Arrive { flow: u64, seats: u32 },
    Finish(usize),
    Cancel(usize),
    Limit(u32),
    Queues(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0_u64..1000, 1_u32..4).prop_map(|(flow, seats)| Step::Arrive { flow, seats }),
        4 => (0_usize..100).prop_map(Step::Finish),
        1 => (0_usize..100).prop_map(Step::Cancel),
        1 => (1_u32..12).prop_map(Step::Limit),
        1 => (1_usize..9).prop_map(Step::Queues),
    ]
}

proptest! {
    #[test]
    fn no_seat_is_lost_and_none_stays_free_that_is_wanted(steps in proptest::collection::vec(step(), 1..300)) {
        let mut fair: Fair<u32> = Fair::new(Some(5), queuing(4, 2, 6));
        let mut running: Vec<(u32, Place)> = Vec::new();
        let mut waiting: Vec<(u64, usize, u32)> = Vec::new();
        let mut now = 0.0;
        for step in steps {
            now += 0.001;
            match step {
                Step::Arrive { flow, seats } => match fair.arrive(now, flow, seats, || seats) {
                    Arrival::Run(place) => running.push((seats, place)),
                    Arrival::Wait(number, queue) => waiting.push((number, queue, seats)),
                    Arrival::Full => prop_assert!(fair.seats_in_use >= fair.limit().unwrap()),
                    Arrival::NoSeat => prop_assert!(false, "there are queues"),
                },
                Step::Finish(which) if !running.is_empty() => {
                    let (_, place) = running.swap_remove(which % running.len());
                    fair.finish(now, place);
                }
                Step::Cancel(which) if !waiting.is_empty() => {
                    let (number, queue, _) = waiting[which % waiting.len()];
                    let there = fair.queues.get(queue).is_some_and(|queue| {
                        queue.waiting.iter().any(|waiting| waiting.number == number)
                    });
                    prop_assert_eq!(fair.cancel(now, number, queue), there);
                    waiting.retain(|(other, ..)| *other != number);
                }
                Step::Limit(limit) => fair.set_limit(Some(limit)),
                Step::Queues(queues) => fair.set_queuing(queuing(queues, 2, 6)),
                Step::Finish(_) | Step::Cancel(_) => {}
            }
            while let Some((seats, place)) = fair.next(now) {
                // It had room, or it runs alone.
                prop_assert!(fair.seats_in_use <= fair.limit().unwrap() || fair.executing == 1);
                running.push((seats, place));
            }
            let seats: u32 = running.iter().map(|(seats, _)| seats).sum();
            prop_assert_eq!((fair.executing as usize, fair.seats_in_use), (running.len(), seats));
            let queued: usize = fair.queues.iter().map(|queue| queue.waiting.len()).sum();
            prop_assert_eq!(queued, fair.waiting);
            let busy = fair.queues.iter().filter(|queue| !queue.is_idle()).count();
            prop_assert_eq!(busy, fair.active as usize);
            // Whoever waits waits for a seat.
            prop_assert!(fair.waiting == 0 || fair.executing > 0);
        }
        while let Some((_, place)) = running.pop() {
            now += 0.001;
            fair.finish(now, place);
            while let Some((seats, place)) = fair.next(now) {
                running.push((seats, place));
            }
        }
        prop_assert_eq!((fair.executing, fair.seats_in_use, fair.waiting, fair.active), (0, 0, 0, 0));
        prop_assert_eq!(fair.seats_waiting, 0);
    }
}
