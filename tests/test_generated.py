"""What is derived from the declarations says what they say, and what the API's description promises."""

import re
from pathlib import Path

import pytest
import yaml

from infra import generate
from infra.functions import ROOT, event_functions, http_functions
from shared.events.subscriptions import SCHEDULES, SUBSCRIPTIONS
from shared.faas.declarations import EndpointDeclaration

# The contract that clients are written against: operation, method, path.
CONTRACT = {
    line.split()[0]: tuple(line.split()[1:])
    for line in """
    register                 POST   /api/auth/register
    login                    POST   /api/auth/login
    verify_second_factor     POST   /api/auth/second-factor
    refresh_session          POST   /api/auth/refresh
    logout                   POST   /api/auth/logout
    list_sessions            GET    /api/auth/sessions
    revoke_session           DELETE /api/auth/sessions/{session_id}
    revoke_other_sessions    DELETE /api/auth/sessions
    request_password_reset   POST   /api/auth/password/forgot
    reset_password           POST   /api/auth/password/reset
    change_password          POST   /api/auth/password/change
    begin_totp               POST   /api/auth/totp/begin
    confirm_totp             POST   /api/auth/totp/confirm
    disable_totp             POST   /api/auth/totp/disable
    regenerate_backup_codes  POST   /api/auth/backup-codes
    create_api_token         POST   /api/auth/tokens
    list_api_tokens          GET    /api/auth/tokens
    revoke_api_token         DELETE /api/auth/tokens/{token_id}
    jwks                     GET    /.well-known/jwks.json
    get_account              GET    /api/account
    update_account           PATCH  /api/account
    get_usage                GET    /api/account/usage
    list_security_events     GET    /api/account/security-events
    delete_account           POST   /api/account/delete
    choose_storage           PUT    /api/account/storage
    create_upload            POST   /api/documents
    get_upload               GET    /api/documents/{document_id}/upload
    sign_upload_parts        POST   /api/documents/{document_id}/upload/parts
    complete_upload          POST   /api/documents/{document_id}/complete
    abort_upload             DELETE /api/documents/{document_id}/upload
    upload_document          POST   /api/documents/upload
    list_documents           GET    /api/documents
    suggest_search           GET    /api/documents/suggest
    get_document             GET    /api/documents/{document_id}
    list_similar             GET    /api/documents/{document_id}/similar
    update_document          PATCH  /api/documents/{document_id}
    trash_document           DELETE /api/documents/{document_id}
    restore_document         POST   /api/documents/{document_id}/restore
    purge_document           DELETE /api/documents/{document_id}/permanent
    list_lookalikes          GET    /api/documents/lookalikes
    list_versions            GET    /api/documents/{document_id}/versions
    restore_version          POST   /api/documents/{document_id}/versions/{version_id}/restore
    empty_trash              DELETE /api/documents/trash
    bulk_documents           POST   /api/documents/bulk
    create_archive           POST   /api/documents/archive
    stream_archive           GET    /api/archives/{token}
    download_document        GET    /api/documents/{document_id}/download
    stream_content           GET    /api/content/{token}
    get_document_text        GET    /api/documents/{document_id}/text
    get_thumbnail            GET    /api/documents/{document_id}/thumbnail
    reprocess_document       POST   /api/documents/{document_id}/reprocess
    get_document_history     GET    /api/documents/{document_id}/history
    stream_document_events   GET    /api/documents/events
    list_jobs                GET    /api/jobs
    get_job                  GET    /api/jobs/{job_id}
    cancel_job               DELETE /api/jobs/{job_id}
    list_views               GET    /api/views
    create_view              POST   /api/views
    update_view              PATCH  /api/views/{view_id}
    delete_view              DELETE /api/views/{view_id}
    list_senders             GET    /api/senders
    update_sender            PATCH  /api/senders/{sender_id}
    merge_senders            POST   /api/senders/{sender_id}/merge
    share_document           POST   /api/documents/{document_id}/shares
    list_shares              GET    /api/documents/{document_id}/shares
    revoke_share             DELETE /api/documents/{document_id}/shares/{share_id}
    open_share               POST   /api/shared/{token}
    list_topics              GET    /api/topics
    create_topic             POST   /api/topics
    update_topic             PATCH  /api/topics/{topic_id}
    delete_topic             DELETE /api/topics/{topic_id}
    merge_topics             POST   /api/topics/{topic_id}/merge
    classify_now             POST   /api/documents/{document_id}/classify
    suggest_topics           POST   /api/documents/{document_id}/suggest-topics
    list_suggestions         GET    /api/documents/{document_id}/suggestions
    decide_suggestion        POST   /api/documents/{document_id}/suggestions/{suggestion_id}
    undo_classification      POST   /api/documents/{document_id}/classify/undo
    preview_ai_call          GET    /api/documents/{document_id}/ai-preview
    estimate_classification  POST   /api/ai/estimate
    list_ai_calls            GET    /api/ai/calls
    export_ai_calls          GET    /api/ai/calls/export
    decide_suggestions       POST   /api/ai/suggestions
    list_proposals           GET    /api/documents/{document_id}/proposals
    decide_proposal          POST   /api/documents/{document_id}/proposals/{proposal_id}
    list_ai_providers        GET    /api/ai/providers
    get_ai_settings          GET    /api/ai/settings
    update_ai_settings       PUT    /api/ai/settings
    check_ai_health          POST   /api/ai/health
    get_ai_usage             GET    /api/ai/usage
    list_connections         GET    /api/cloud/connections
    connect_webdav           POST   /api/cloud/connections
    delete_connection        DELETE /api/cloud/connections/{connection_id}
    rename_connection        PATCH  /api/cloud/connections/{connection_id}
    check_connection         POST   /api/cloud/connections/{connection_id}/check
    authorize_google         GET    /api/cloud/google/authorize
    google_callback          GET    /api/cloud/google/callback
    authorize_onedrive       GET    /api/cloud/onedrive/authorize
    onedrive_callback        GET    /api/cloud/onedrive/callback
    browse_connection        GET    /api/cloud/connections/{connection_id}/files
    import_files             POST   /api/cloud/connections/{connection_id}/import
    export_documents         POST   /api/cloud/connections/{connection_id}/export
    watch_folder             POST   /api/cloud/connections/{connection_id}/watched-folders
    list_watched_folders     GET    /api/cloud/connections/{connection_id}/watched-folders
    unwatch_folder           DELETE /api/cloud/connections/{connection_id}/watched-folders/{folder_id}
    move_document            POST   /api/documents/{document_id}/move
    list_users               GET    /api/admin/users
    create_user              POST   /api/admin/users
    update_user              PATCH  /api/admin/users/{user_id}
    delete_user              DELETE /api/admin/users/{user_id}
    revoke_user_sessions     POST   /api/admin/users/{user_id}/revoke-sessions
    list_audit_log           GET    /api/admin/audit
    list_audit_exports       GET    /api/admin/audit/exports
    download_audit_export    GET    /api/admin/audit/exports/{date}
    verify_audit_log         POST   /api/admin/audit/verify
    list_deliveries          GET    /api/admin/deliveries
    retry_delivery           POST   /api/admin/deliveries/{delivery_id}/retry
    list_schedules           GET    /api/admin/schedules
    run_schedule             POST   /api/admin/schedules/{name}/run
    get_stats                GET    /api/admin/stats
    get_settings             GET    /api/admin/settings
    update_settings          PUT    /api/admin/settings
    health                   GET    /health
    live                     GET    /health/live
    ready                    GET    /health/ready
    metrics                  GET    /metrics
    openapi                  GET    /openapi.json
    api_docs                 GET    /docs
    """.strip().splitlines()
}
FOR_EVERYONE = {
    "register",
    "login",
    "verify_second_factor",
    "request_password_reset",
    "reset_password",
    "jwks",
    "stream_content",
    "stream_archive",
    "open_share",
}
FOR_EVERYONE |= {"google_callback", "onedrive_callback", "health", "live", "ready", "metrics", "openapi", "api_docs", "console"}
READS_BY_POST = {"create_archive"}
"""Whoever may only write must not get everything out by it."""
BY_COOKIE = {"refresh_session", "logout"}

# Event functions: what wakes them, on which queue.
WOKEN_BY = {
    "object_created": ("s3:ObjectCreated:*", "documents"),
    "extract_document": ("document.stored", "documents"),
    "classify_document": ("document.extracted", "documents"),
    "send_email": ("email.requested", "email"),
}
TICKS = {
    "reconcile_uploads": "* * * * *",
    "cleanup_abandoned_uploads": "*/30 * * * *",
    "export_audit_log": "0 0 * * *",
}


def test_nothing_that_is_generated_is_stale() -> None:
    stale = [path.name for path, text in generate.generated().items() if not path.exists() or path.read_text() != text]
    assert stale == [], "run ./scripts/generate"


def test_check_says_what_is_stale_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stale, absent = ROOT / "openapi.yaml", tmp_path / "absent"
    before = stale.read_text()
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "generated", lambda: {absent: "text"})
    assert generate.main(["--check"]) == 1
    assert "absent does not say what the functions declare" in capsys.readouterr().out
    assert not absent.exists()
    assert generate.main([]) == 0
    assert absent.read_text() == "text"
    assert generate.main(["--check"]) == 0
    assert stale.read_text() == before


def test_the_manifests_of_an_area_that_is_gone_are_stale_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = tmp_path / generate.MANIFESTS / "functions" / "fax.yaml"
    left.parent.mkdir(parents=True)
    left.write_text("kind: Service")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "generated", lambda: {})
    assert generate.main(["--check"]) == 1
    assert "fax.yaml does not say what the functions declare" in capsys.readouterr().out
    assert left.exists()
    assert generate.main([]) == 0
    assert not left.exists()


@pytest.mark.parametrize("declaration", http_functions(), ids=lambda declaration: declaration.name)
def test_an_operation_has_the_address_that_clients_know(declaration: EndpointDeclaration) -> None:
    if declaration.name != "console":
        assert (declaration.method, declaration.path) == CONTRACT[declaration.name]


@pytest.mark.parametrize("declaration", http_functions(), ids=lambda declaration: declaration.name)
def test_an_operation_is_for_whom_it_should_be(declaration: EndpointDeclaration) -> None:
    if declaration.name in FOR_EVERYONE:
        assert declaration.auth == "none"
    elif declaration.name in BY_COOKIE:
        assert declaration.auth == "cookie"
    else:
        assert declaration.auth == ("admin" if declaration.path.startswith("/api/admin/") else "user")
    # Passwords, sessions, tokens, second factors, deletion and admin never accept API tokens; of the account they may read at most.
    never = declaration.path.startswith(("/api/auth/", "/api/admin/"))
    never = never or (declaration.path.startswith("/api/account") and declaration.method != "GET")
    assert (declaration.scope is None) == (never or declaration.auth != "user")
    if declaration.scope is not None:
        area, kind = declaration.scope.split(":")
        assert declaration.method == "GET" or kind == "write" or area == "account" or declaration.name in READS_BY_POST, (
            "reading is not writing"
        )


def test_what_is_created_may_be_created_once() -> None:
    creating = [d for d in http_functions() if d.method == "POST" and d.status == 201 and d.auth == "user"]
    assert creating
    assert [d.name for d in creating if not d.idempotent] == []


def test_event_functions_are_woken_by_what_they_should_be() -> None:
    for declaration in event_functions():
        if declaration.name in WOKEN_BY:
            assert (declaration.event_type, declaration.queue) == WOKEN_BY[declaration.name]
        if declaration.name in TICKS:
            assert (declaration.schedule, declaration.queue) == (TICKS[declaration.name], "system")


def test_every_event_function_has_its_subscription() -> None:
    subscribed = {subscription.function for subscriptions in SUBSCRIPTIONS.values() for subscription in subscriptions}
    assert subscribed == {declaration.name for declaration in event_functions()}
    assert {name: schedule for name, schedule in SCHEDULES.items()} == {d.name: d.schedule for d in event_functions() if d.schedule}


def test_the_description_names_every_operation_once_and_every_reference_leads_somewhere() -> None:
    description = yaml.safe_load((ROOT / "openapi.yaml").read_text())
    operations = [operation["operationId"] for path in description["paths"].values() for operation in path.values()]
    assert sorted(operations) == sorted(declaration.name for declaration in http_functions())
    references = set(re.findall(r"#/components/(\w+)/([^'\s]+)", (ROOT / "openapi.yaml").read_text()))
    assert references - {(kind, name) for kind, named in description["components"].items() for name in named} == set()


def test_an_answer_has_all_its_members() -> None:
    schemas = yaml.safe_load((ROOT / "openapi.yaml").read_text())["components"]["schemas"]
    assert set(schemas["Document"]["required"]) == set(schemas["Document"]["properties"])
    assert set(schemas["DocumentHit"]["required"]) == set(schemas["DocumentHit"]["properties"]) - {"snippet", "score"}
    assert "next_cursor" in schemas["Page_Topic_"]["required"]


def test_every_answer_is_described_with_its_headers() -> None:
    description = yaml.safe_load((ROOT / "openapi.yaml").read_text())
    for path in description["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                if "$ref" in answer:
                    answer = description["components"]["responses"][answer["$ref"].rpartition("/")[2]]
                further = {"401": {"WWW-Authenticate"}, "429": {"Retry-After"}, "503": {"Retry-After"}}.get(status, set())
                if "not_configured" in answer["description"]:
                    further = set()  # waiting does not help where a setting is missing
                assert set(answer["headers"]) == {"X-Request-Id"} | further
