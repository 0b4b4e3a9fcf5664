"""Where each thing that federation has to withstand is tested: ``{what: (file::test, …)}``, below tests/.

``test_index.py`` holds it to the tests that there are.
"""

from __future__ import annotations

ROUTES, WELL_KNOWN = "net/test_federation_security.py", "net/test_well_known.py"
API, HERE = "api/federation", "security"

FEDERATION: dict[str, tuple[str, ...]] = {
    "every name through the address policy: IP literals and names": (
        f"{ROUTES}::test_ip_literals_and_names_are_held_to_the_address_policy",
        f"{ROUTES}::test_rebinding_what_was_checked_is_what_is_connected_to",
        f"{ROUTES}::test_hosts_of_the_configuration_are_held_to_the_address_policy",
    ),
    "every name through the address policy: well-known answers and their redirects": (
        f"{ROUTES}::test_well_known_answers_are_held_to_the_address_policy",
        f"{WELL_KNOWN}::test_well_known_redirects_are_held_to_the_address_policy",
        f"{WELL_KNOWN}::test_well_known_hosts_are_held_to_the_address_policy",
        f"{WELL_KNOWN}::test_redirects_to_no_tls_are_not_followed",
    ),
    "every name through the address policy: SRV targets": (
        f"{ROUTES}::test_srv_targets_are_held_to_the_address_policy",
    ),
    "every name through the address policy: media redirects": (
        f"{API}/test_media.py::test_redirects_to_addresses_that_are_not_allowed",
    ),
    "redirects of requests between servers": (f"{ROUTES}::test_redirects_are_not_followed",),
    "well-known at most 50 KiB": (
        f"{WELL_KNOWN}::test_well_known_over_50_kib",
        f"{WELL_KNOWN}::test_well_known_over_50_kib_in_chunks",
    ),
    "caches bounded": (
        "net/test_dns.py::test_what_is_kept_has_a_bound",
        "net/test_federation_client.py::test_pools_are_bounded",
        f"{HERE}/test_caches.py::test_caches_of_federation_are_bounded",
        f"{HERE}/test_caches.py::test_what_is_remembered_of_servers_is_bounded",
    ),
    "keys: server_name is the one asked for": (
        f"{HERE}/test_keys.py::test_keys_server_name_is_the_one_asked_for",
        "core/test_server_keys.py::test_server_name_is_the_one_asked_for",
    ),
    "keys: self-signed": (
        f"{HERE}/test_keys.py::test_keys_are_self_signed",
        "core/test_server_keys.py::test_self_signed_by_each_of_its_verify_keys",
    ),
    "keys: a valid key is never replaced": (
        f"{HERE}/test_keys.py::test_a_valid_key_is_never_replaced",
        "contract/test_server_signing_keys.py::test_a_valid_key_is_never_replaced",
    ),
    "keys: min(valid_until, now + 7 d)": (
        f"{HERE}/test_keys.py::test_keys_are_valid_for_seven_days_at_most",
        "core/test_server_keys.py::test_min_of_valid_until_and_seven_days_from_now",
    ),
    "keys: old keys for events only": (
        f"{HERE}/test_keys.py::test_old_keys_for_events_only",
        "core/test_server_keys.py::test_old_keys_are_for_events_only",
    ),
    "keys: notary answers verified by notary and subject": (
        f"{HERE}/test_keys.py::test_notary_answers_are_verified_by_notary_and_subject",
        "core/test_server_keys.py::test_notary_answers_are_verified_by_notary_and_subject",
    ),
    "chain bombs: at most 10 auth events each": (
        f"{HERE}/test_bombs.py::test_chain_bombs_at_most_10_auth_events_each",
    ),
    "chain bombs: iterative": (f"{HERE}/test_bombs.py::test_chain_bombs_are_walked_without_recursion",),
    "chain bombs: total bounded": (
        f"{HERE}/test_bombs.py::test_chain_bombs_what_is_fetched_for_one_event_is_bounded",
        f"{HERE}/test_bombs.py::test_chain_bombs_that_rest_on_themselves",
        f"{API}/test_remote_joins.py::test_rooms_that_are_too_large",
    ),
    "depth bombs": (
        f"{HERE}/test_bombs.py::test_depth_bombs_spoil_no_order",
        "contract/test_admission.py::test_a_depth_that_is_claimed_spoils_nothing",
    ),
    "one malformed PDU among 50": (
        f"{HERE}/test_malformed_json.py::test_one_malformed_pdu_among_50",
        f"{HERE}/test_malformed_json.py::test_one_malformed_edu_among_others",
        f"{API}/test_transactions.py::test_a_malformed_one_costs_only_itself",
    ),
    "one malformed PDU among 60,000": (
        f"{HERE}/test_malformed_json.py::test_one_malformed_pdu_of_a_room_that_is_joined",
        f"{HERE}/test_malformed_json.py::test_one_malformed_pdu_of_a_state",
        f"{HERE}/test_malformed_json.py::test_one_malformed_pdu_of_the_past",
        f"{HERE}/test_malformed_json.py::test_one_malformed_pdu_of_what_is_missing",
        f"{API}/test_remote_joins.py::test_bad_events_cost_only_themselves",
    ),
    "one malformed part of other answers": (
        f"{HERE}/test_malformed_json.py::test_one_malformed_device_among_others",
        f"{HERE}/test_malformed_json.py::test_one_malformed_room_among_others",
        f"{HERE}/test_malformed_json.py::test_a_malformed_field_of_a_profile",
        f"{HERE}/test_malformed_json.py::test_a_malformed_part_of_any_request",
        f"{HERE}/test_keys.py::test_a_malformed_answer_of_a_notary_costs_only_itself",
    ),
    "bodies streamed": (
        f"{HERE}/test_bodies.py::test_bodies_of_states_are_read_as_they_come",
        "net/test_federation_answer.py::test_answers_without_an_end_are_bounded",
        "net/test_federation_answer.py::test_gzip_bombs_are_bounded",
    ),
    "bodies bounded: an event 128 KiB": (
        f"{HERE}/test_bodies.py::test_bodies_are_bounded_as_the_design_says",
        f"{HERE}/test_bodies.py::test_bodies_of_more_than_128_kib_are_no_event",
    ),
    "bodies bounded: a transaction 10 MiB": (
        f"{HERE}/test_bodies.py::test_bodies_of_more_than_10_mib_are_no_transaction",
    ),
    "bodies bounded: a state 256 MiB": (
        f"{HERE}/test_bodies.py::test_bodies_of_more_than_256_mib_are_no_state",
    ),
    "EDUs of other servers' users refused": (
        f"{HERE}/test_edus.py::test_edus_of_other_servers_users_are_refused",
        f"{HERE}/test_edus.py::test_edus_of_its_own_users_are_taken",
    ),
    "room EDUs by membership": (f"{HERE}/test_edus.py::test_room_edus_by_membership",),
    "room EDUs by ACL": (
        f"{HERE}/test_edus.py::test_room_edus_by_acl",
        f"{API}/test_ephemeral_edus.py::test_acls_hold_for_edus",
    ),
    "room_id checked on everything fetched": (
        f"{HERE}/test_rooms_of_what_is_fetched.py::test_room_id_is_checked_on_everything_fetched_for_an_event",
        f"{HERE}/test_rooms_of_what_is_fetched.py::test_room_id_is_checked_on_all_of_a_room_that_is_joined",
        f"{HERE}/test_rooms_of_what_is_fetched.py::test_room_id_is_checked_on_the_past",
        f"{HERE}/test_rooms_of_what_is_fetched.py::test_room_id_is_checked_on_invites_and_what_they_show",
    ),
    "of a make_join template only the content is believed": (
        f"{API}/test_remote_joins.py::test_what_is_taken_of_a_template",
        f"{API}/test_remote_joins.py::test_templates_of_something_else",
        f"{HERE}/test_malformed_json.py::test_malformed_templates",
    ),
    "ACLs on every room-scoped endpoint": (
        f"{HERE}/test_acls.py::test_every_room_scoped_endpoint_is_known",
        f"{HERE}/test_acls.py::test_acls_on_every_room_scoped_endpoint",
        f"{HERE}/test_acls.py::test_acls_where_the_room_is_that_of_an_event",
        f"{HERE}/test_acls.py::test_acls_for_pdus_and_edus_of_transactions",
    ),
    "what is served filtered by server_can_see": (
        f"{HERE}/test_what_is_served.py::test_what_is_served_is_filtered_by_server_can_see",
        f"{HERE}/test_what_is_served.py::test_what_was_before_a_servers_users_came_is_redacted",
        f"{API}/test_events.py::test_what_a_server_may_not_see_is_redacted",
    ),
    "X-Matrix with our destination, method, URI and body": (
        f"{API}/test_request_authentication.py::test_x_matrix_with_our_destination_method_uri_and_body",
        "core/test_x_matrix.py::test_x_matrix_with_our_destination_method_uri_and_body",
    ),
    "outage: current within 60 s, no row per event and destination": (
        f"{API}/test_bars.py::test_a_peer_that_was_down_for_a_day_is_current_within_60_s_after_it_answers",
        "contract/test_federation_sender.py::test_a_server_that_is_away_for_a_day",
        "contract/test_federation_sender.py::test_what_is_left_of_a_long_outage",
    ),
    "loss: kill -9 at any point": (
        "interop/test_sigkill_both_ways.py::test_nothing_is_lost_or_doubled",
        f"{API}/test_remote_invites.py::"
        "test_one_that_is_taken_back_while_its_server_is_away_is_told_after_a_restart",
    ),
    "deadlock: two servers that fill each other's gaps both finish": (
        f"{API}/test_netsplits.py::test_both_go_on_alone",
    ),
    "deadlock: 60 s in all for one event": (f"{API}/test_bars.py::test_one_event_takes_60_s_in_all",),
    "loops: asked for once per server and back-off, over a restart too": (
        f"{API}/test_bars.py::test_what_is_missing_is_asked_for_once_in_a_while_over_a_restart_too",
        f"{API}/test_missing_events.py::test_it_is_asked_for_again_later",
    ),
    "key fetches at most 10 s, failures remembered": (
        "contract/test_server_signing_keys.py::test_fetches_take_a_bounded_time_and_failures_are_remembered",
        "contract/test_server_signing_keys.py::test_a_server_that_fails_is_left_alone_over_a_restart",
        "contract/test_server_signing_keys.py::test_500_black_holes_keep_nobody_waiting",
    ),
    "gaps: at most one backfill and one state_ids for a gap and request": (
        f"{API}/test_backfill.py::test_a_page_asks_once",
        f"{API}/test_backfill.py::test_forks_take_one_state",
    ),
    "gaps: a page never waits over 10 s for a peer": (
        f"{API}/test_backfill.py::test_a_page_does_not_wait_for_long",
    ),
    "a malformed one of 100,000 is never an error": (
        "fuzz/test_pdus.py::test_no_event_gets_through_to_an_error",
        "fuzz/test_transactions.py::test_no_transaction_gets_through_to_an_error",
        "fuzz/test_answers.py::test_no_answer_gets_through_to_an_error",
    ),
    "replays do nothing": (
        f"{API}/test_transactions.py::test_a_replay_does_nothing",
        f"{HERE}/test_edus.py::test_replays_of_edus_do_nothing",
        f"{HERE}/test_replays.py::test_replays_of_handshakes_do_nothing",
        f"{HERE}/test_replays.py::test_replays_of_invites_do_nothing",
    ),
}
