//! What every coordination must do, held against each of them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::coordination::{Coordination, Work};
use super::lock::RepositoryLock;
use super::memory_coordination::MeetingPlace;

type Join = Box<dyn Fn() -> Box<dyn Coordination> + Send + Sync>;

fn each(check: impl Fn(&Join)) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_path_buf();
    check(
        &(Box::new(move || {
            Box::new(RepositoryLock::shared(Path::new(&root), &|| {}).unwrap())
                as Box<dyn Coordination>
        }) as Join),
    );
    let place = MeetingPlace::default();
    check(&(Box::new(move || Box::new(place.join().unwrap()) as Box<dyn Coordination>) as Join));
}

/// Tries once.
fn alone_now(user: &dyn Coordination) -> bool {
    user.begin_alone(&mut |_| false).unwrap()
}

#[test]
fn one_is_alone_when_the_others_are_gone_and_no_sooner() {
    each(|join| {
        let (one, other) = (join(), join());
        assert!(one.keeps_others_out() && !one.is_alone().unwrap());
        assert!(!alone_now(&*one));
        let asked = std::cell::Cell::new(0);
        let gave_up = one.begin_alone(&mut |_| asked.replace(asked.get() + 1) < 2).unwrap();
        assert!(!gave_up && asked.get() == 3, "it is asked whether to wait on: {asked:?}");
        drop(other);
        assert!(one.is_alone().unwrap() && alone_now(&*one));
        one.end_alone().unwrap();
        let other = join();
        assert!(!alone_now(&*one) && !alone_now(&*other));
    });
}

#[test]
fn who_comes_while_somebody_is_alone_waits_and_is_let_in_afterwards() {
    each(|join| {
        let one = join();
        assert!(alone_now(&*one));
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let newcomer = scope.spawn(|| {
                let other = join();
                assert!(is_over.load(Ordering::SeqCst), "let in too early");
                drop(other);
            });
            std::thread::sleep(Duration::from_millis(200));
            is_over.store(true, Ordering::SeqCst);
            one.end_alone().unwrap();
            newcomer.join().unwrap();
        });
    });
}

#[test]
fn who_steps_aside_lets_another_be_alone_and_is_back_afterwards() {
    each(|join| {
        let (one, other) = (join(), join());
        std::thread::scope(|scope| {
            let aside = scope.spawn(|| other.step_aside(Duration::from_millis(1500)).unwrap());
            assert!(one.begin_alone(&mut |waited| waited < Duration::from_secs(60)).unwrap());
            one.end_alone().unwrap();
            aside.join().unwrap();
        });
        assert!(!one.is_alone().unwrap());
        drop(other);
        assert!(one.is_alone().unwrap());
    });
}

#[test]
fn one_reorganises_at_a_time_and_the_second_is_told_at_once() {
    each(|join| {
        let (one, other) = (join(), join());
        let held = one.take(Work::Reorganise).unwrap();
        assert!(matches!(other.take(Work::Reorganise), Err(super::Error::Busy { .. })));
        let list = other.take(Work::List).unwrap();
        drop(held);
        drop(other.take(Work::Reorganise).unwrap());
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| drop(one.take(Work::List).unwrap()));
            std::thread::sleep(Duration::from_millis(100));
            assert!(!waits.is_finished(), "the list is changed by one at a time");
            drop(list);
            waits.join().unwrap();
        });
    });
}
