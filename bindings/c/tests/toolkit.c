/* The toolkit: functions without a server. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const SEED = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";
static const char *const PUBLIC = "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI";

static roomlet_result *result;
static roomlet_error *failed;

/* The text of a call that answers, to be freed. */
static char *answer(roomlet_code code) {
    CHECK_OK(code, failed);
    roomlet_bytes bytes = roomlet_result_bytes(result);
    char *copy = calloc(bytes.len + 1, 1);
    CHECK(copy != NULL);
    if (bytes.len > 0) memcpy(copy, bytes.ptr, bytes.len);
    roomlet_result_free(result);
    result = NULL;
    return copy;
}

/* Checks that a call answers exactly that. */
static void is(roomlet_code code, const char *wanted) {
    char *text = answer(code);
    if (strcmp(text, wanted) != 0) {
        fprintf(stderr, "wanted %s\n   got %s\n", wanted, text);
        exit(1);
    }
    free(text);
}

/* Checks that a call fails like that. */
static void fails(roomlet_code code, roomlet_code wanted) {
    CHECK(code == wanted && failed != NULL);
    roomlet_error_free(failed);
    failed = NULL;
}

/* An event of a room of version 11, signed, to be freed. */
static char *event_of(const char *type, const char *state_key, const char *content, const char *prev, const char *auth,
                      int time) {
    char json[4096];
    int written = snprintf(json, sizeof json,
                           "{\"type\":\"%s\",\"state_key\":\"%s\",\"sender\":\"@a:domain\",\"room_id\":\"!x:domain\","
                           "\"content\":%s,\"prev_events\":[%s],\"auth_events\":[%s],\"depth\":%d,\"origin_server_ts\":%d}",
                           type, state_key, content, prev, auth, time, time);
    CHECK(written > 0 && (size_t)written < sizeof json);
    return answer(roomlet_tool_sign_event(text(json), text("11"), text("domain"), text("ed25519:1"), text(SEED), &result,
                                          &failed));
}

static char *id_of(const char *event) {
    return answer(roomlet_tool_event_id(text(event), text("11"), &result, &failed));
}

static char *events[4], *ids[4];

/* What the last call of the source was lent. */
static roomlet_events *lent;

/* Gives the events that it is asked for; fails if `user_data` says so. */
static int32_t source(void *user_data, roomlet_bytes wanted, roomlet_events *into) {
    char *list = calloc(wanted.len + 1, 1);
    lent = into;
    memcpy(list, wanted.ptr, wanted.len);
    for (int i = 0; i < 4; i++) {
        if (strstr(list, ids[i]) != NULL) CHECK_OK(roomlet_events_add(into, text(events[i]), &failed), failed);
    }
    free(list);
    return user_data == NULL ? 0 : 7;
}

static void resolve(void) {
    char cites_create[128], cites_both[256], states[1024], wanted[512];
    roomlet_bytes all[4];
    events[0] = event_of("m.room.create", "", "{}", "", "", 1);
    ids[0] = id_of(events[0]);
    snprintf(cites_create, sizeof cites_create, "\"%s\"", ids[0]);
    events[1] = event_of("m.room.member", "@a:domain", "{\"membership\":\"join\"}", cites_create, cites_create, 2);
    ids[1] = id_of(events[1]);
    snprintf(cites_both, sizeof cites_both, "\"%s\",\"%s\"", ids[0], ids[1]);
    events[2] = event_of("m.room.topic", "", "{\"topic\":\"1\"}", cites_create, cites_both, 3);
    events[3] = event_of("m.room.topic", "", "{\"topic\":\"2\"}", cites_create, cites_both, 4);
    for (int i = 2; i < 4; i++) ids[i] = id_of(events[i]);
    for (int i = 0; i < 4; i++) all[i] = text(events[i]);

    is(roomlet_tool_check_auth_events(text(events[3]), all, 2, text("11"), &result, &failed), "{\"allowed\":true}");
    is(roomlet_tool_check_auth(text(events[3]), all, 1, text("11"), &result, &failed),
       "{\"about\":\"AUTH-17: the sender is not in the room\",\"allowed\":false,\"rule\":\"AUTH-17\"}");
    fails(roomlet_tool_check_auth_events(text(events[3]), all, 1, text("11"), &result, &failed), ROOMLET_UNKNOWN_EVENT);
    snprintf(wanted, sizeof wanted, "[\"%s\",\"%s\"]", ids[0], ids[1]);
    is(roomlet_tool_select_auth_events(text(events[3]), all, 2, text("11"), &result, &failed), wanted);

    /* Of two topics sent with the same power the later one stays. */
    snprintf(states, sizeof states, "[[%s,\"%s\"],[%s,\"%s\"]]", cites_both, ids[2], cites_both, ids[3]);
    snprintf(wanted, sizeof wanted, "[\"%s\",\"%s\",\"%s\"]", ids[0], ids[1], ids[3]);
    is(roomlet_tool_resolve_state(text("11"), text(states), all, 4, &result, &failed), wanted);
    is(roomlet_tool_resolve_state_from(text("11"), text(states), source, NULL, &result, &failed), wanted);
    fails(roomlet_tool_resolve_state_from(text("11"), text(states), source, states, &result, &failed), ROOMLET_HOST);
    fails(roomlet_events_add(lent, text(events[0]), &failed), ROOMLET_FREED_HANDLE);
    fails(roomlet_tool_resolve_state(text("11"), text(states), all, 3, &result, &failed), ROOMLET_UNKNOWN_EVENT);
    fails(roomlet_tool_resolve_state(text("11"), text("[1]"), all, 4, &result, &failed), ROOMLET_BAD_PARAM);
    for (int i = 0; i < 4; i++) free(events[i]), free(ids[i]);
}

static void example(void) {
    const char *const seed = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";
    roomlet_bytes create = text(
        "{\"type\":\"m.room.create\",\"state_key\":\"\",\"sender\":\"@a:domain\",\"room_id\":\"!x:domain\",\"content\":{},"
        "\"prev_events\":[],\"auth_events\":[],\"depth\":1,\"origin_server_ts\":1}");
    char *event = answer(roomlet_tool_sign_event(create, text("11"), text("domain"), text("ed25519:1"), text(seed), &result, &failed));
    char *id = answer(roomlet_tool_event_id(text(event), text("11"), &result, &failed));
    char *verdict = answer(roomlet_tool_check_auth_events(text(event), NULL, 0, text("11"), &result, &failed));
    printf("%s %s\n", id, verdict); /* $kZeE… {"allowed":true} */
    free(event), free(id), free(verdict);
}

int main(void) {
    const roomlet_bytes none = {NULL, 0};
    const char *const object = "{\"two\":\"Two\",\"one\":1}";
    const char *const wanted = "{\"one\":1,\"signatures\":{\"domain\":{\"ed25519:1\":\"KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw\"}},\"two\":\"Two\"}";
    char *event, *keys;

    is(roomlet_tool_canonical_json(text("{ \"b\": 1, \"a\": [] }"), &result, &failed), "{\"a\":[],\"b\":1}");
    fails(roomlet_tool_canonical_json(text("1.5"), &result, &failed), ROOMLET_NOT_CANONICAL);
    is(roomlet_tool_public_key(text(SEED), &result, &failed), PUBLIC);
    is(roomlet_tool_sign_json(text(object), text("domain"), text("ed25519:1"), text(SEED), &result, &failed), wanted);
    CHECK_OK(roomlet_tool_verify_json(text(wanted), text("domain"), text("ed25519:1"), text(PUBLIC), &failed), failed);
    fails(roomlet_tool_verify_json(text(object), text("domain"), text("ed25519:1"), text(PUBLIC), &failed),
          ROOMLET_MISSING_SIGNATURE);

    event = event_of("m.room.name", "", "{\"name\":\"x\"}", "", "", 1);
    keys = answer(roomlet_tool_canonical_json(text("{\"domain\":{\"ed25519:1\":\"XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI\"}}"), &result, &failed));
    CHECK_OK(roomlet_tool_check_event(text(event), text("11"), &failed), failed);
    fails(roomlet_tool_check_event(text("{}"), text("11"), &failed), ROOMLET_BAD_EVENT);
    is(roomlet_tool_required_signers(text(event), text("11"), &result, &failed), "[\"domain\"]");
    is(roomlet_tool_verify_event(text(event), text("11"), text(keys), &result, &failed), event);
    is(roomlet_tool_content_hash(text("{}"), &result, &failed), "RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o");
    is(roomlet_tool_redact(text("{\"type\":\"x\",\"content\":{\"a\":1},\"b\":1}"), text("11"), &result, &failed),
       "{\"content\":{},\"type\":\"x\"}");
    is(roomlet_tool_auth_types(text(event), text("11"), &result, &failed),
       "[[\"m.room.create\",\"\"],[\"m.room.power_levels\",\"\"],[\"m.room.member\",\"@a:domain\"]]");
    free(event), free(keys);

    is(roomlet_tool_parse_id(ROOMLET_ID_USER, text("@a:b:80"), &result, &failed),
       "{\"host\":\"b\",\"local\":\"a\",\"port\":80,\"server\":\"b:80\"}");
    fails(roomlet_tool_parse_id(ROOMLET_ID_ROOM, text("@a:b"), &result, &failed), ROOMLET_BAD_ID);
    fails(roomlet_tool_parse_id(99, text("@a:b"), &result, &failed), ROOMLET_BAD_ARGUMENT);
    is(roomlet_tool_room_versions(&result, &failed),
       "[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\",\"12\",\"I.1\",\"org.matrix.msc1767.10\"]");
    event = answer(roomlet_tool_room_version(text("12"), &result, &failed));
    CHECK(strstr(event, "\"state_resolution\":\"2.1\"") != NULL);
    free(event);
    fails(roomlet_tool_room_version(none, &result, &failed), ROOMLET_UNKNOWN_ROOM_VERSION);
    fails(roomlet_tool_room_versions(NULL, &failed), ROOMLET_BAD_ARGUMENT);

    resolve();
    example();
    CHECK(roomlet_live_handles() == 0);
    puts("the toolkit: ok");
    return 0;
}
