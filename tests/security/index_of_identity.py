"""Where each thing that signing in and administering withstand is tested: ``{what: (file::test, …)}``.

As ``index_of_federation.py``; ``test_index.py`` holds both to the tests that there are.
"""

from __future__ import annotations

OIDC, METADATA, TOKENS = "sign_on/test_oidc.py", "sign_on/test_metadata.py", "sign_on/test_id_tokens.py"
SAML, CAS, LDAP = "sign_on/test_saml.py", "sign_on/test_cas.py", "sign_on/test_ldap.py"
JWT, AWARE = "sign_on/test_json_web_tokens.py", "sign_on/test_oauth_aware.py"
OAUTH, CLIENTS = "api/client/test_oauth.py", "core/test_oauth_clients.py"
SIGN_IN, ACCOUNT, REGISTRATION = (
    "api/pages/test_sign_in.py",
    "api/pages/test_account.py",
    "api/pages/test_registration.py",
)
TRIED, PAGES, GUESSING = "security/test_oauth.py", "security/test_all_pages.py", "security/test_guessing.py"
ADMINS = "security/test_administrators.py"

IDENTITY: dict[str, tuple[str, ...]] = {
    "open redirects: after signing in": (
        f"{SIGN_IN}::test_open_redirects",
        f"{OIDC}::test_signing_in_with_the_browser",
        f"{PAGES}::test_header_injection",
        "admin/test_pages.py::test_where_a_form_leads_back_to",
    ),
    "open redirects: login tokens": (
        f"{OIDC}::test_open_redirects",
        f"{OIDC}::test_a_token_does_not_leave_for_an_unknown_client_unasked",
        f"{AWARE}::test_open_redirects",
        f"{AWARE}::test_a_client_that_is_not_listed",
    ),
    "open redirects: redirect_uri is one that was registered, letter by letter": (
        f"{TRIED}::test_redirect_uris_are_the_very_same",
        f"{TRIED}::test_who_may_not_redirect_is_not_redirected_after_a_sign_in",
        f"{OAUTH}::test_open_redirects_nobody_is_sent_where_the_client_did_not_say",
        f"{OAUTH}::test_a_parameter_that_is_given_twice_is_refused",
        f"{OAUTH}::test_a_field_that_is_given_twice_is_refused",
        f"{CLIENTS}::test_where_answers_may_go",
    ),
    "response modes": (
        f"{TRIED}::test_response_modes_that_there_are_not",
        f"{OAUTH}::test_response_modes",
        f"{OAUTH}::test_response_mode_form_post",
    ),
    "header injection": (
        f"{PAGES}::test_header_injection",
        f"{TOKENS}::test_header_injection_by_metadata",
    ),
    "state": (
        f"{OIDC}::test_state",
        f"{OIDC}::test_login_csrf",
        f"{OIDC}::test_a_sign_on_that_takes_too_long",
        f"{SAML}::test_login_csrf",
        f"{CAS}::test_tickets_are_good_once_and_for_one_browser",
    ),
    "nonce": (
        f"{OIDC}::test_nonce",
        f"{OIDC}::test_nonce_without_pkce",
        f"{TOKENS}::test_nonce_audience_issuer_and_times",
    ),
    "ID tokens: signatures, algorithms, keys that come along": (
        f"{TOKENS}::test_a_good_one_is_taken",
        f"{TOKENS}::test_signatures",
        f"{TOKENS}::test_what_signs_something_else_is_no_proof",
        f"{TOKENS}::test_userinfo_of_somebody_else",
        f"{TOKENS}::test_addresses_that_are_not_verified",
    ),
    "JSON Web Tokens of logins": (
        f"{JWT}::test_tokens_that_are_not_good",
        f"{JWT}::test_a_public_key_is_no_secret",
        f"{JWT}::test_issuer_audience_and_age",
    ),
    "PKCE downgrade": (
        f"{OAUTH}::test_pkce_downgrade_is_refused",
        f"{OAUTH}::test_pkce_a_wrong_verifier_spends_the_code",
        f"{OIDC}::test_pkce_downgrade",
    ),
    "code reuse": (
        f"{OAUTH}::test_code_reuse_ends_what_came_of_the_code",
        f"{OAUTH}::test_code_reuse_at_the_same_time_makes_one_session",
        f"{OAUTH}::test_a_code_is_good_for_a_minute_and_for_its_client",
        "contract/test_oauth.py::test_codes_are_spent_once",
    ),
    "refresh reuse": (
        f"{OAUTH}::test_refresh_reuse_ends_the_grant",
        f"{OAUTH}::test_refresh_tokens_are_their_clients_and_no_others",
        f"{TRIED}::test_another_clients_refresh_token_ends_nothing",
        f"{TRIED}::test_refreshes_at_once_leave_one_chain",
    ),
    "tokens: one is no other, and none is made up": (
        f"{TRIED}::test_tokens_are_good_for_what_they_are",
        f"{TRIED}::test_tokens_cannot_be_made_up",
        f"{OAUTH}::test_revoking_a_token_ends_its_session",
        f"{OAUTH}::test_introspection_is_for_administrators",
    ),
    "device grant: guesses, phishing, parallel use": (
        f"{OAUTH}::test_throttling_of_who_guesses_at_user_codes",
        f"{TRIED}::test_device_codes_at_once_make_one_session",
        f"{TRIED}::test_device_codes_are_their_clients",
        f"{TRIED}::test_a_device_is_allowed_by_its_users_own_hand",
        f"{TRIED}::test_device_codes_are_polled_slowly",
        "contract/test_oauth.py::test_device_codes_are_decided_once",
    ),
    "mix-up of providers": (
        f"{OIDC}::test_a_mix_up_of_providers",
        f"{TOKENS}::test_mix_up_by_iss",
        f"{TOKENS}::test_mix_up_where_iss_is_missing",
        f"{TRIED}::test_answers_say_whose_they_are",
    ),
    "client registration abuse": (
        f"{OAUTH}::test_registration_abuse_is_bounded",
        f"{OAUTH}::test_registration_abuse_is_throttled",
        f"{OAUTH}::test_unused_clients_are_forgotten",
        f"{OAUTH}::test_registration_of_nonsense",
        f"{TRIED}::test_what_a_client_is_called_hides_not_where_it_leads",
        f"{TRIED}::test_names_that_turn_around_what_follows",
        f"{CLIENTS}::test_redirect_uris_that_are_refused",
        f"{CLIENTS}::test_what_else_is_refused",
    ),
    "silent authorization": (
        f"{OAUTH}::test_what_was_allowed_is_not_asked_again",
        f"{OAUTH}::test_what_was_allowed_is_taken_back",
        f"{TRIED}::test_answers_say_whose_they_are",
    ),
    "CSRF": (
        f"{PAGES}::test_csrf",
        f"{PAGES}::test_csrf_by_other_ways_to_send_a_form",
        f"{SIGN_IN}::test_csrf_forms_of_others_are_refused",
        f"{SIGN_IN}::test_csrf_a_form_from_before_signing_in_is_refused_after",
        f"{OAUTH}::test_csrf_nobody_else_allows_a_client",
        f"{OIDC}::test_forms_of_other_sites_and_of_other_browsers",
        f"{OIDC}::test_a_link_alone_confirms_nothing",
        "admin/test_pages.py::test_forms_of_other_sites",
    ),
    "clickjacking, referrers and caches": (
        f"{PAGES}::test_clickjacking_caches_and_referrers",
        f"{SIGN_IN}::test_clickjacking_and_what_a_page_may_load",
        f"{OAUTH}::test_clickjacking_the_page_is_shown_in_no_frame",
        "admin/test_pages.py::test_pages_cannot_be_framed",
    ),
    "session fixation": (
        f"{SIGN_IN}::test_session_fixation_a_sign_in_makes_a_new_session",
        f"{SIGN_IN}::test_what_ends_a_session",
    ),
    "cookies": (
        f"{SIGN_IN}::test_cookies_are_kept_from_scripts_and_other_sites",
        f"{PAGES}::test_cookies_of_neighbours_are_not_taken",
    ),
    "login throttling per account": (
        "api/client/test_login.py::test_failures_are_limited_for_each_account",
        "api/client/test_login.py::test_many_attempts_at_once_are_too_many",
        f"{SIGN_IN}::test_throttling_of_an_account_whatever_the_address",
        f"{GUESSING}::test_throttling_of_an_account_by_all_ways_together",
        f"{GUESSING}::test_throttling_of_who_has_stolen_a_token",
        f"{LDAP}::test_guesses_are_counted",
    ),
    "login throttling per address": (
        f"{SIGN_IN}::test_throttling_of_an_address_whatever_the_account",
        f"{GUESSING}::test_throttling_of_an_address_by_the_api",
        f"{REGISTRATION}::test_registering_is_throttled",
    ),
    "enumeration": (
        f"{GUESSING}::test_enumeration_by_what_is_answered",
        f"{GUESSING}::test_enumeration_by_time",
        f"{GUESSING}::test_enumeration_by_what_is_for_administrators",
        f"{SIGN_IN}::test_enumeration_nobody_is_told_who_has_an_account",
        f"{REGISTRATION}::test_a_forgotten_password",
        "api/client/test_threepids.py::test_an_unknown_address_is_told_so_by_mail_only",
    ),
    "empty passwords and anonymous binds": (
        f"{GUESSING}::test_empty_passwords_and_such",
        f"{LDAP}::test_an_empty_password_is_nobodys",
    ),
    "template injection": (
        f"{OIDC}::test_template_injection_through_a_display_name",
        f"{OAUTH}::test_template_injection_by_a_clients_name",
        f"{TRIED}::test_template_injection_by_what_a_client_sends",
        "core/test_claim_templates.py::test_there_is_nothing_but_the_user",
        "admin/test_pages.py::test_reports",
    ),
    "LDAP injection": (f"{LDAP}::test_ldap_injection",),
    "SSRF through provider metadata": (
        f"{METADATA}::test_ssrf_through_metadata",
        f"{METADATA}::test_ssrf_through_keys",
        f"{METADATA}::test_a_redirect_is_not_followed",
        f"{METADATA}::test_plain_text_where_the_issuer_has_tls",
        f"{METADATA}::test_metadata_that_cannot_be_used",
        f"{METADATA}::test_an_answer_that_is_none",
        f"{METADATA}::test_authorities_of_ones_own",
    ),
    "SAML: signature wrapping": (
        f"{SAML}::test_saml_signature_wrapping",
        f"{SAML}::test_ids_that_are_there_twice",
        f"{SAML}::test_an_assertion_of_one_answer_in_another",
        f"{SAML}::test_nothing_is_believed_unsigned",
        f"{SAML}::test_what_was_changed_after_it_was_signed",
        f"{SAML}::test_a_key_that_comes_with_the_answer",
        f"{SAML}::test_a_comment_does_not_cut_a_name",
    ),
    "SAML: replay, audience, recipient, InResponseTo, clock": (
        f"{SAML}::test_an_answer_is_taken_once",
        f"{SAML}::test_recipient_audience_and_clock",
        f"{SAML}::test_an_answer_to_another_question",
        f"{SAML}::test_an_answer_for_another_service",
        f"{SAML}::test_an_answer_that_has_expired",
    ),
    "XXE": (f"{SAML}::test_xxe", f"{CAS}::test_xxe", f"{CAS}::test_logging_out_at_the_provider"),
    "CAS: tickets are for one service and one browser": (
        f"{CAS}::test_tickets_are_good_once_and_for_one_browser",
        f"{CAS}::test_a_comment_does_not_cut_a_name",
    ),
    "nobody is logged out by what is forged": (
        f"{OIDC}::test_logging_out_at_the_provider",
        f"{SAML}::test_requests_to_log_out_that_are_forged",
        f"{CAS}::test_logging_out_at_the_provider",
        f"{OIDC}::test_a_provider_that_is_away_logs_nobody_out",
    ),
    "accounts are not taken over by a name": (
        f"{OIDC}::test_a_name_that_somebody_has_is_not_taken_over",
        f"{LDAP}::test_a_name_that_somebody_has_is_not_taken_over",
        f"{SAML}::test_user_interactive_auth",
        f"{OIDC}::test_user_interactive_auth",
    ),
    "pages: at their own paths only": (f"{PAGES}::test_pages_are_at_their_own_paths_only",),
    "cookies of others: at the same host, in any form, of any length": (
        f"{SIGN_IN}::test_cookies_of_other_applications",
        f"{SIGN_IN}::test_cookies_in_several_lines",
        f"{SIGN_IN}::test_a_cookie_that_takes_long_to_read",
    ),
    "administration is for administrators: operations": (
        f"{ADMINS}::test_what_is_for_administrators_says_so",
        f"{ADMINS}::test_every_operation_refuses_who_is_no_administrator",
        f"{ADMINS}::test_who_was_an_administrator_is_none_any_more",
    ),
    "administration is for administrators: pages": (
        "admin/test_pages.py::test_nobody_else_is_let_in",
        "admin/test_pages.py::test_who_was_an_administrator",
    ),
    "administration is for administrators: commands": (
        "cli/test_command_server.py::test_the_server_does_it_and_it_is_written_down",
    ),
    "audit log: operations": (
        f"{ADMINS}::test_every_operation_that_changes_something_is_written_down",
        f"{ADMINS}::test_operations_that_read_change_nothing",
        f"{ADMINS}::test_what_administrators_may_do_in_any_room_is_written_down",
        "api/admin/test_audit_log.py::test_what_was_refused_is_there_too",
    ),
    "audit log: pages": (f"{ADMINS}::test_every_form_of_administrators_is_written_down",),
    "audit log: commands, with and without a server": (
        f"{ADMINS}::test_every_command_that_changes_something_is_written_down",
        f"{ADMINS}::test_settings_that_are_changed_without_a_server_are_written_down",
        f"{ADMINS}::test_settings_that_are_changed_beside_a_server_are_written_down",
        f"{ADMINS}::test_a_database_that_cannot_be_asked_costs_the_entry_only",
    ),
    "audit log: no secrets": (
        "api/admin/test_audit_log.py::test_no_secrets",
        f"{ADMINS}::test_secrets_that_are_changed_in_the_browser_are_not_in_the_log",
    ),
}
