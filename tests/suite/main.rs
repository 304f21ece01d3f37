//! One test binary: each module keeps one group of promises.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]
#![allow(clippy::print_stdout, reason = "some tests tell how much they explored")]
#![expect(clippy::disallowed_methods, reason = "tests make, change and damage files as they like")]

mod backends;
mod beside;
mod cells;
mod cli;
mod computed;
mod copies;
mod copy;
mod counted;
mod crash;
mod damage;
mod diff;
mod discovery;
mod encryption;
mod everyday;
mod export;
mod find;
mod fourth_look;
mod golden;
mod gone;
mod hostile;
mod http;
mod import;
mod jellyfin_page;
mod keys;
mod linked;
mod live;
mod live_look;
mod lost_list;
mod mend;
mod model;
mod mount;
mod moving;
mod names;
mod new_machine;
mod old_systems;
mod once_more;
mod pages;
mod places;
mod races;
mod reader;
mod recipes;
mod relocate;
mod relocate_edges;
mod restore;
mod roundtrip;
mod rows;
mod scan;
mod schemas;
mod second_look;
mod security;
mod service;
mod session;
mod situations;
mod small_pictures;
mod small_print;
mod stand_in;
mod storm;
mod support;
mod sync;
mod third_look;
mod through_server;
mod titles;
mod unread;
mod untold;
mod upgrading;
mod upkeep;
mod uploads;
mod vacuum;
mod watch_state;
mod web;
mod zip_checker;
mod zip_load;
mod zip_tables;
