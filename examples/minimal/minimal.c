#include <roomlet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static roomlet_op *op; /* the command under way */
static roomlet_bytes text(const char *string) { return (roomlet_bytes){(const uint8_t *)string, strlen(string)}; }
/* A real host carries the request to the other server by HTTP; this program has nobody to reach. */
static void send(void *user_data, const roomlet_request *request, roomlet_reply *reply) {
    (void)user_data, (void)request;
    roomlet_reply_fail(reply, text("no network"), NULL);
}
/* Waits for the command and copies its result. Nothing is freed: this program ends soon. */
static const char *wait(roomlet_code code) {
    roomlet_result *result = NULL;
    if (code != ROOMLET_OK || roomlet_op_wait(op, -1, &result, NULL) != ROOMLET_OK) exit(1);
    roomlet_bytes bytes = roomlet_result_bytes(result);
    return memcpy(calloc(bytes.len + 1, 1), bytes.ptr, bytes.len);
}
int main(void) {
    roomlet_config config = {.struct_size = sizeof config, .server_name = text("one.example")};
    roomlet_server *one;
    if (roomlet_server_open(&config, &(roomlet_host){.struct_size = sizeof(roomlet_host), .send = send}, &one, NULL)) return 1;
    const char *alice = wait(roomlet_account_create(one, text("alice"), NULL, NULL, &op, NULL));
    const char *room = wait(roomlet_room_create(one, text(alice), text("{\"name\":\"First light\"}"), NULL, NULL, &op, NULL));
    roomlet_bytes hello = text("{\"m.text\":[{\"body\":\"hello from alice\"}]}");
    wait(roomlet_room_send(one, text(alice), text(room), text("m.message"), hello, text(""), NULL, NULL, &op, NULL));
    const char *page = wait(roomlet_room_timeline(one, text(alice), text(room), text(""), ROOMLET_BACKWARD, 1, NULL, NULL, &op, NULL));
    printf("%s reads %.*s\n", alice, (int)hello.len, strstr(page, "{\"m.text\"")); /* a real host parses the JSON */
}
