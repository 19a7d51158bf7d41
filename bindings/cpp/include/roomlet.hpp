// roomlet for C++17: roomlet.h with values, exceptions and owners. Header only; link roomlet.
//
// Errors are thrown as roomlet::Error. Commands return roomlet::Pending<T>, whose get() waits; it throws ROOMLET_WRONG_THREAD
// where waiting is not allowed: in a callback of Host. Every object may be moved and not copied; any thread may use it.
#ifndef ROOMLET_HPP
#define ROOMLET_HPP

#include "roomlet.h"

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace roomlet {

/// What went wrong with which thing; what() is the message.
class Error : public std::runtime_error {
public:
    Error(roomlet_code code, std::string errcode, const std::string &message)
        : std::runtime_error(message), code_(code), errcode_(std::move(errcode)) {}

    /// One of the ROOMLET_… codes.
    roomlet_code code() const noexcept { return code_; }
    /// The Matrix errcode, as M_FORBIDDEN.
    const std::string &errcode() const noexcept { return errcode_; }

private:
    roomlet_code code_;
    std::string errcode_;
};

/// A federation request: on its way out, or come in from another server.
struct Request {
    /// The server that it is for, before any discovery.
    std::string destination;
    /// GET, PUT or POST.
    std::string method;
    /// Path and query, from /_matrix, byte for byte.
    std::string target;
    /// The value of each Authorization header.
    std::vector<std::string> authorization;
    /// JSON; empty if there is none.
    std::string body;
};

/// The response to a request.
struct Response {
    /// The HTTP status.
    std::uint16_t status = 0;
    /// JSON.
    std::string body;
};

/// One entry of the update stream: keep the token, and resume after it.
struct Update {
    /// A reader opened with it begins after this update.
    std::string token;
    /// What happened, an object; roomlet_updates_next in roomlet.h says of what form.
    std::string json;
};

/// How to open a server; roomlet.h says what the fields mean, those of `roomlet_config` and of `roomlet_host`. Zero and empty
/// are the defaults.
struct Config {
    std::string server_name;
    std::string store_path;
    std::string default_room_version;
    std::uint64_t request_timeout_ms = 0;
    std::uint32_t outbound_pdus_per_second = 0;
    std::uint32_t outbound_burst = 0;
    std::uint64_t backoff_first_ms = 0;
    std::uint64_t backoff_max_ms = 0;
    std::uint64_t outbox_per_destination = 0;
    std::uint32_t missing_events_per_request = 0;
    std::uint32_t missing_events_rounds = 0;
    std::uint64_t staged_per_room = 0;
    std::uint64_t open_rooms = 0;
    std::int64_t key_validity_ms = 0;
    std::uint64_t cache_bytes = 0;
    std::uint64_t room_idle_ms = 0;
    /// The wall clock, in milliseconds since 1970. Empty: the system's. Any thread; what it throws ends the program.
    std::function<std::int64_t()> now_ms;
    /// Fills `len` bytes with randomness fit for keys. Empty: the system's. Any thread; what it throws ends the program.
    std::function<void(std::uint8_t *bytes, std::size_t len)> random;
};

/// Which way a page of a timeline goes: to the past, to the present.
enum class Direction : std::int32_t { Backward = ROOMLET_BACKWARD, Forward = ROOMLET_FORWARD };

namespace detail {

inline std::string string_of(roomlet_bytes bytes) {
    return bytes.len == 0 ? std::string() : std::string(reinterpret_cast<const char *>(bytes.ptr), bytes.len);
}

inline roomlet_bytes bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

inline std::vector<roomlet_bytes> bytes_of(const std::vector<std::string> &texts) {
    std::vector<roomlet_bytes> all;
    for (const auto &text : texts) {
        all.push_back(bytes_of(std::string_view(text)));
    }
    return all;
}

inline Error error_of(const roomlet_error *error) {
    return Error(roomlet_error_code(error), string_of(roomlet_error_errcode(error)),
                 string_of(roomlet_error_message(error)));
}

/// Throws what a call gave, and frees it. `error` is a reference, as the call writes it while arguments are evaluated.
inline void check(roomlet_code code, roomlet_error *const &error) {
    if (code != ROOMLET_OK) {
        Error thrown = error_of(error);
        roomlet_error_free(error);
        throw thrown;
    }
}

template <typename Handle, void (*Free)(Handle *)> struct Freer {
    void operator()(Handle *handle) const { Free(handle); }
};

template <typename Handle, void (*Free)(Handle *)> using Owner = std::unique_ptr<Handle, Freer<Handle, Free>>;

inline Response response_of(const roomlet_result *result) {
    return {roomlet_result_status(result), string_of(roomlet_result_bytes(result))};
}

inline void read(const roomlet_result *result, std::string &value) {
    value = string_of(roomlet_result_bytes(result));
}

inline void read(const roomlet_result *result, Response &value) {
    value = response_of(result);
}

inline void read(const roomlet_result *result, std::vector<Update> &value) {
    for (std::size_t i = 0; i < roomlet_result_update_count(result); i++) {
        value.push_back({string_of(roomlet_result_update_token(result, i)), string_of(roomlet_result_update(result, i))});
    }
}

} // namespace detail

/// A command under way. Dropping it does not stop the command.
template <typename T> class Pending {
public:
    explicit Pending(roomlet_op *op) : op_(op) {}

    /// Waits for the result. Throws the command's error.
    T get() const {
        auto result = wait(-1);
        return std::move(*result);
    }

    /// Waits at most `timeout_ms`; nothing if the command has not ended by then.
    std::optional<T> get_for(std::int64_t timeout_ms) const { return wait(timeout_ms); }

    /// Asks the command to stop: get() then throws ROOMLET_CANCELLED, unless it had ended.
    void cancel() const { roomlet_op_cancel(op_.get()); }

private:
    std::optional<T> wait(std::int64_t timeout_ms) const {
        roomlet_result *raw = nullptr;
        roomlet_error *error = nullptr;
        roomlet_code code = roomlet_op_wait(op_.get(), timeout_ms, &raw, &error);
        if (code == ROOMLET_TIMED_OUT && timeout_ms >= 0) {
            roomlet_error_free(error);
            return std::nullopt;
        }
        detail::check(code, error);
        detail::Owner<roomlet_result, roomlet_result_free> result(raw);
        T value;
        detail::read(result.get(), value);
        return value;
    }

    detail::Owner<roomlet_op, roomlet_op_free> op_;
};

/// Where the response to a request goes. Dropped without an answer, it says that the destination is unreachable.
class Reply {
public:
    explicit Reply(roomlet_reply *reply) : reply_(reply) {}
    Reply(Reply &&other) noexcept : reply_(std::exchange(other.reply_, nullptr)) {}
    Reply &operator=(Reply &&) = delete;
    ~Reply() {
        if (reply_ != nullptr) {
            roomlet_reply_fail(reply_, detail::bytes_of("the host gave no response"), nullptr);
        }
    }

    /// Gives the response, whatever its status. A second answer throws, as one with a status outside 100 to 599, which does
    /// not count.
    void respond(const Response &response) {
        roomlet_error *error = nullptr;
        detail::check(roomlet_reply_respond(reply_, response.status, detail::bytes_of(response.body), &error), error);
        reply_ = nullptr;
    }

    /// Says that the destination could not be reached.
    void fail(std::string_view why) {
        roomlet_error *error = nullptr;
        detail::check(roomlet_reply_fail(reply_, detail::bytes_of(why), &error), error);
        reply_ = nullptr;
    }

private:
    roomlet_reply *reply_;
};

/// A question of policy. Dropped without an answer, it says no.
class Question {
public:
    explicit Question(roomlet_question *question) : question_(question) {}
    Question(Question &&other) noexcept : question_(std::exchange(other.question_, nullptr)) {}
    Question &operator=(Question &&) = delete;
    ~Question() {
        if (question_ != nullptr) {
            roomlet_question_refuse(question_, nullptr);
        }
    }

    /// Answers; a second answer is ignored.
    void answer(bool allow) {
        roomlet_question *question = std::exchange(question_, nullptr);
        (allow ? roomlet_question_allow : roomlet_question_refuse)(question, nullptr);
    }

private:
    roomlet_question *question_;
};

/// What the program that embeds roomlet does for it. Methods come on roomlet's threads, several at the same time; they
/// should return soon and must not wait for a Pending. An exception is an unanswered reply or question.
class Host {
public:
    virtual ~Host() = default;
    /// Carries `request` to its destination; answer `reply` from any thread, now or later.
    virtual void send(Request request, Reply reply) = 0;
    /// Takes a message for the developer's log, as `roomlet_host.log` says; `level` is one of ROOMLET_LOG_….
    virtual void log(std::int32_t level, std::string_view message) { (void)level, (void)message; }
    /// There are new updates; `token` is the newest one's.
    virtual void updates_available(std::string_view token) { (void)token; }
    /// May `sender` invite the local user `invitee`? As the other questions, it says yes where it is not overridden.
    virtual void accept_invite(const std::string &room_id, const std::string &sender, const std::string &invitee,
                               Question question) {
        (void)room_id, (void)sender, (void)invitee;
        question.answer(true);
    }
    /// May `user_id` of another server join through this one?
    virtual void accept_join(const std::string &room_id, const std::string &user_id, Question question) {
        (void)room_id, (void)user_id;
        question.answer(true);
    }
    /// May the server `origin` make this request?
    virtual void accept_request(const std::string &origin, const std::string &method, const std::string &target,
                                Question question) {
        (void)origin, (void)method, (void)target;
        question.answer(true);
    }
    /// May this event of another server reach users? Refused, it stays in the room's history, out of their sight.
    virtual void accept_event(const std::string &room_id, const std::string &event_id, const std::string &sender,
                              const std::string &type, Question question) {
        (void)room_id, (void)event_id, (void)sender, (void)type;
        question.answer(true);
    }
};

namespace detail {

/// What a server asks of its program: the `user_data` of its callbacks.
struct World {
    std::shared_ptr<Host> host;
    std::function<std::int64_t()> now_ms;
    std::function<void(std::uint8_t *, std::size_t)> random;
};

/// Runs a method of the host; no exception may cross into roomlet.
template <typename Body> void guarded(void *user_data, Body body) noexcept {
    try {
        body(*static_cast<World *>(user_data)->host);
    } catch (...) {
        // What the method was to answer has been dropped, which is an answer.
    }
}

inline roomlet_host host_of(World *world) {
    roomlet_host host{};
    host.struct_size = sizeof host;
    host.user_data = world;
    host.release = [](void *data) { delete static_cast<World *>(data); };
    // Time and keys cannot be made up in place of one that fails: noexcept ends the program.
    if (world->now_ms) {
        host.now_ms = [](void *data) noexcept { return static_cast<World *>(data)->now_ms(); };
    }
    if (world->random) {
        host.random = [](void *data, std::uint8_t *bytes, std::size_t len) noexcept {
            static_cast<World *>(data)->random(bytes, len);
        };
    }
    host.send = [](void *data, const roomlet_request *request, roomlet_reply *raw) {
        guarded(data, [&](Host &h) {
            Reply reply(raw);
            Request copy{string_of(roomlet_request_destination(request)), string_of(roomlet_request_method(request)),
                         string_of(roomlet_request_target(request)), {}, string_of(roomlet_request_body(request))};
            for (std::size_t i = 0; i < roomlet_request_authorization_count(request); i++) {
                copy.authorization.push_back(string_of(roomlet_request_authorization(request, i)));
            }
            h.send(std::move(copy), std::move(reply));
        });
    };
    host.log = [](void *data, std::int32_t level, roomlet_bytes message) {
        guarded(data, [&](Host &h) { h.log(level, string_of(message)); });
    };
    host.updates_available = [](void *data, roomlet_bytes token) {
        guarded(data, [&](Host &h) { h.updates_available(string_of(token)); });
    };
    host.accept_invite = [](void *data, roomlet_bytes room, roomlet_bytes sender, roomlet_bytes invitee,
                            roomlet_question *raw) {
        guarded(data, [&](Host &h) {
            Question question(raw);
            h.accept_invite(string_of(room), string_of(sender), string_of(invitee), std::move(question));
        });
    };
    host.accept_join = [](void *data, roomlet_bytes room, roomlet_bytes user, roomlet_question *raw) {
        guarded(data, [&](Host &h) {
            Question question(raw);
            h.accept_join(string_of(room), string_of(user), std::move(question));
        });
    };
    host.accept_request = [](void *data, roomlet_bytes origin, roomlet_bytes method, roomlet_bytes target,
                             roomlet_question *raw) {
        guarded(data, [&](Host &h) {
            Question question(raw);
            h.accept_request(string_of(origin), string_of(method), string_of(target), std::move(question));
        });
    };
    host.accept_event = [](void *data, roomlet_bytes room, roomlet_bytes event, roomlet_bytes sender,
                           roomlet_bytes type, roomlet_question *raw) {
        guarded(data, [&](Host &h) {
            Question question(raw);
            h.accept_event(string_of(room), string_of(event), string_of(sender), string_of(type), std::move(question));
        });
    };
    return host;
}

} // namespace detail

/// A reader of the update stream.
class Updates {
public:
    explicit Updates(roomlet_updates *updates) : updates_(updates) {}

    /// The next 1 to `max` updates, as soon as there is one. One call at a time.
    Pending<std::vector<Update>> next(std::size_t max = 100) {
        roomlet_op *op = nullptr;
        roomlet_error *error = nullptr;
        detail::check(roomlet_updates_next(updates_.get(), max, nullptr, nullptr, &op, &error), error);
        return Pending<std::vector<Update>>(op);
    }

private:
    detail::Owner<roomlet_updates, roomlet_updates_free> updates_;
};

/// A homeserver inside this process. Its destructor closes it. roomlet.h says what each command does, gives and throws.
class Server {
public:
    using Text = std::string_view;
    /// A command that gives JSON.
    using Json = Pending<std::string>;
    /// A command that gives an id, or a token of the update stream.
    using Id = Pending<std::string>;

    /// Opens the store; waits until it is open. `host` lives as long as the server needs it; it must not be null.
    Server(const Config &config, std::shared_ptr<Host> host) {
        if (host == nullptr) {
            throw Error(ROOMLET_BAD_ARGUMENT, "M_UNKNOWN", "`host`: is null");
        }
        auto world = std::make_unique<detail::World>(detail::World{std::move(host), config.now_ms, config.random});
        roomlet_config raw{};
        raw.struct_size = sizeof raw;
        raw.server_name = b(config.server_name);
        raw.store_path = b(config.store_path);
        raw.default_room_version = b(config.default_room_version);
        raw.request_timeout_ms = config.request_timeout_ms;
        raw.outbound_pdus_per_second = config.outbound_pdus_per_second;
        raw.outbound_burst = config.outbound_burst;
        raw.backoff_first_ms = config.backoff_first_ms;
        raw.backoff_max_ms = config.backoff_max_ms;
        raw.outbox_per_destination = config.outbox_per_destination;
        raw.missing_events_per_request = config.missing_events_per_request;
        raw.missing_events_rounds = config.missing_events_rounds;
        raw.staged_per_room = config.staged_per_room;
        raw.open_rooms = config.open_rooms;
        raw.key_validity_ms = config.key_validity_ms;
        raw.cache_bytes = config.cache_bytes;
        raw.room_idle_ms = config.room_idle_ms;
        roomlet_host callbacks = detail::host_of(world.get());
        roomlet_server *server = nullptr;
        roomlet_error *error = nullptr;
        detail::check(roomlet_server_open(&raw, &callbacks, &server, &error), error);
        server_.reset(server);
        // The server now owns it, and `release` deletes it.
        world.release();
    }

    /// Closes the server; commands under way end with ROOMLET_CLOSED.
    void close() {
        roomlet_error *error = nullptr;
        detail::check(roomlet_server_close(server_.get(), &error), error);
    }
    /// The server's name.
    std::string name() const { return detail::string_of(roomlet_server_name(server_.get())); }
    /// The network is back, or the app woke up: deliveries that wait for a retry are tried at once.
    void wake() {
        roomlet_error *error = nullptr;
        detail::check(roomlet_server_wake(server_.get(), &error), error);
    }

    /// Answers another server's request; `done` gets the response on one of roomlet's threads (503 if there is none). Of a
    /// body read no more than ROOMLET_MAX_REQUEST_BYTES: a larger one is answered with 413.
    void handle_request(const Request &request, std::function<void(Response)> done) {
        auto headers = detail::bytes_of(request.authorization);
        auto user_data = std::make_unique<std::function<void(Response)>>(std::move(done));
        roomlet_error *error = nullptr;
        detail::check(roomlet_server_handle_request(server_.get(), b(request.method), b(request.target), headers.data(),
                                                    headers.size(), b(request.body), answered, user_data.get(), nullptr,
                                                    &error),
                      error);
        // `answered` now owns it.
        user_data.release();
    }

    Id create_account(Text localpart) { return run(roomlet_account_create, b(localpart)); }
    Json accounts() const { return run(roomlet_accounts); }
    Id create_room(Text user, Text options = {}) { return run(roomlet_room_create, b(user), b(options)); }
    Id upgrade_room(Text user, Text room, Text version, const std::vector<std::string> &creators = {}) {
        auto users = detail::bytes_of(creators);
        return run(roomlet_room_upgrade, b(user), b(room), b(version), users.data(), users.size());
    }
    Json import_room(Text archive, bool trusted = false) { return run(roomlet_room_import, b(archive), trusted); }
    /// How many events were deleted, in decimal.
    Pending<std::string> purge_history(Text room, Text from) {
        return run(roomlet_room_purge_history, b(room), b(from));
    }
    Pending<std::string> forget_room(Text room) { return run(roomlet_room_forget, b(room)); }
    Json check_store(bool repair = false) { return run(roomlet_store_check, repair); }
    Pending<std::string> backup(Text path) const { return run(roomlet_store_backup, b(path)); }
    Id invite(Text user, Text room, Text target, Text reason = {}) {
        return run(roomlet_room_invite, b(user), b(room), b(target), b(reason));
    }
    Id join(Text user, Text room, const std::vector<std::string> &via = {}) {
        auto names = detail::bytes_of(via);
        return run(roomlet_room_join, b(user), b(room), names.data(), names.size());
    }
    Id leave(Text user, Text room, Text reason = {}) { return run(roomlet_room_leave, b(user), b(room), b(reason)); }
    Id kick(Text user, Text room, Text target, Text reason = {}) {
        return run(roomlet_room_kick, b(user), b(room), b(target), b(reason));
    }
    Id ban(Text user, Text room, Text target, Text reason = {}) {
        return run(roomlet_room_ban, b(user), b(room), b(target), b(reason));
    }
    Id unban(Text user, Text room, Text target, Text reason = {}) {
        return run(roomlet_room_unban, b(user), b(room), b(target), b(reason));
    }
    Id send(Text user, Text room, Text type, Text content, Text txn_id = {}) {
        return run(roomlet_room_send, b(user), b(room), b(type), b(content), b(txn_id));
    }
    Id set_state(Text user, Text room, Text type, Text state_key, Text content, Text txn_id = {}) {
        return run(roomlet_room_set_state, b(user), b(room), b(type), b(state_key), b(content), b(txn_id));
    }
    Id redact(Text user, Text room, Text event, Text reason = {}, Text txn_id = {}) {
        return run(roomlet_room_redact, b(user), b(room), b(event), b(reason), b(txn_id));
    }
    Json timeline(Text user, Text room, Text from = {}, Direction direction = Direction::Backward,
                  std::size_t limit = 100) const {
        return run(roomlet_room_timeline, b(user), b(room), b(from), static_cast<std::int32_t>(direction), limit);
    }
    Json event(Text user, Text room, Text event) const {
        return run(roomlet_room_event, b(user), b(room), b(event));
    }
    Json state(Text user, Text room) const { return run(roomlet_room_state, b(user), b(room)); }
    Json state_event(Text user, Text room, Text type, Text state_key) const {
        return run(roomlet_room_state_event, b(user), b(room), b(type), b(state_key));
    }
    Json members(Text user, Text room, Text membership = {}) const {
        return run(roomlet_room_members, b(user), b(room), b(membership));
    }
    Json rooms(Text user) const { return run(roomlet_rooms, b(user)); }
    Json invite_preview(Text user, Text room) const { return run(roomlet_room_preview, b(user), b(room)); }

    /// A reader of what comes after the update with token `since`; empty: of all.
    Updates updates(Text since = {}) const {
        roomlet_updates *updates = nullptr;
        roomlet_error *error = nullptr;
        detail::check(roomlet_updates_open(server_.get(), b(since), &updates, &error), error);
        return Updates(updates);
    }
    Id last_update() const { return run(roomlet_updates_last); }
    Pending<std::string> trim_updates(Text up_to) { return run(roomlet_updates_trim, b(up_to)); }

private:
    static roomlet_bytes b(Text text) { return detail::bytes_of(text); }

    static void answered(void *data, const roomlet_result *result, const roomlet_error *error) {
        std::unique_ptr<std::function<void(Response)>> done(static_cast<std::function<void(Response)> *>(data));
        try {
            (*done)(error == nullptr ? detail::response_of(result) : Response{503, "{}"});
        } catch (...) {
            // No exception may cross into roomlet, and nobody is there to take it.
        }
    }

    /// Starts a command whose C function takes `args`.
    template <typename Function, typename... Args> Pending<std::string> run(Function function, Args... args) const {
        roomlet_op *op = nullptr;
        roomlet_error *error = nullptr;
        detail::check(function(server_.get(), args..., nullptr, nullptr, &op, &error), error);
        return Pending<std::string>(op);
    }

    detail::Owner<roomlet_server, roomlet_server_free> server_;
};

/// Functions without a server: JSON, signatures, events, authorization, state resolution. Text in, text out; what is wrong
/// throws Error. See docs/toolkit.md.
namespace toolkit {

using Text = std::string_view;
using Texts = std::vector<std::string>;

namespace detail {

inline roomlet_bytes b(Text text) {
    return roomlet::detail::bytes_of(text);
}

/// Calls what answers at once, and takes its text.
template <typename Function, typename... Args> std::string answer(Function function, Args... args) {
    roomlet_result *result = nullptr;
    roomlet_error *error = nullptr;
    roomlet::detail::check(function(args..., &result, &error), error);
    roomlet::detail::Owner<roomlet_result, roomlet_result_free> owner(result);
    return roomlet::detail::string_of(roomlet_result_bytes(result));
}

template <typename Function, typename... Args> void check(Function function, Args... args) {
    roomlet_error *error = nullptr;
    roomlet::detail::check(function(args..., &error), error);
}

} // namespace detail

/// The canonical form.
inline std::string canonical_json(Text json) {
    return detail::answer(roomlet_tool_canonical_json, detail::b(json));
}
/// In unpadded base64, as `seed`.
inline std::string public_key(Text seed) {
    return detail::answer(roomlet_tool_public_key, detail::b(seed));
}
/// `object` with the signature.
inline std::string sign_json(Text object, Text server, Text key_id, Text seed) {
    return detail::answer(roomlet_tool_sign_json, detail::b(object), detail::b(server), detail::b(key_id),
                          detail::b(seed));
}
/// Throws if the signature is missing or does not verify.
inline void verify_json(Text object, Text server, Text key_id, Text public_key) {
    detail::check(roomlet_tool_verify_json, detail::b(object), detail::b(server), detail::b(key_id),
                  detail::b(public_key));
}
inline std::string content_hash(Text event) {
    return detail::answer(roomlet_tool_content_hash, detail::b(event));
}
inline std::string event_id(Text event, Text version) {
    return detail::answer(roomlet_tool_event_id, detail::b(event), detail::b(version));
}
inline std::string redact(Text event, Text version) {
    return detail::answer(roomlet_tool_redact, detail::b(event), detail::b(version));
}
/// A JSON list.
inline std::string required_signers(Text event, Text version) {
    return detail::answer(roomlet_tool_required_signers, detail::b(event), detail::b(version));
}
/// Throws what is wrong with the form of the event.
inline void check_event(Text event, Text version) {
    detail::check(roomlet_tool_check_event, detail::b(event), detail::b(version));
}
/// `event` with its content hash and the signature.
inline std::string sign_event(Text event, Text version, Text server, Text key_id, Text seed) {
    return detail::answer(roomlet_tool_sign_event, detail::b(event), detail::b(version), detail::b(server),
                          detail::b(key_id), detail::b(seed));
}
/// The event, or its redacted form if its content hash does not fit. `keys`: a JSON object by server, then by key id, of public
/// keys in base64.
inline std::string verify_event(Text event, Text version, Text keys) {
    return detail::answer(roomlet_tool_verify_event, detail::b(event), detail::b(version), detail::b(keys));
}
/// A JSON object: `allowed`, and if it is not `rule` and `about`.
inline std::string check_auth_events(Text event, const Texts &auth_events, Text version) {
    auto events = roomlet::detail::bytes_of(auth_events);
    return detail::answer(roomlet_tool_check_auth_events, detail::b(event), events.data(), events.size(),
                          detail::b(version));
}
/// As check_auth_events.
inline std::string check_auth(Text event, const Texts &state, Text version) {
    auto events = roomlet::detail::bytes_of(state);
    return detail::answer(roomlet_tool_check_auth, detail::b(event), events.data(), events.size(), detail::b(version));
}
/// A JSON list of pairs: type and state key.
inline std::string auth_types(Text event, Text version) {
    return detail::answer(roomlet_tool_auth_types, detail::b(event), detail::b(version));
}
/// A JSON list of event ids.
inline std::string select_auth_events(Text event, const Texts &state, Text version) {
    auto events = roomlet::detail::bytes_of(state);
    return detail::answer(roomlet_tool_select_auth_events, detail::b(event), events.data(), events.size(),
                          detail::b(version));
}
/// `states`: a JSON list of lists of event ids. The result is a JSON list of event ids.
inline std::string resolve_state(Text version, Text states, const Texts &events) {
    auto all = roomlet::detail::bytes_of(events);
    return detail::answer(roomlet_tool_resolve_state, detail::b(version), detail::b(states), all.data(), all.size());
}
/// As resolve_state; `source` gets a JSON list of ids and gives these events. What it throws comes out again.
inline std::string resolve_state_from(Text version, Text states, const std::function<Texts(std::string ids)> &source) {
    struct Call {
        const std::function<Texts(std::string)> &source;
        std::exception_ptr thrown;
    } call{source, nullptr};
    auto events_of = [](void *data, roomlet_bytes ids, roomlet_events *events) -> std::int32_t {
        auto &call = *static_cast<Call *>(data);
        try {
            for (const auto &event : call.source(roomlet::detail::string_of(ids))) {
                detail::check(roomlet_events_add, events, detail::b(event));
            }
            return 0;
        } catch (...) {
            call.thrown = std::current_exception();
            return 1;
        }
    };
    try {
        return detail::answer(roomlet_tool_resolve_state_from, detail::b(version), detail::b(states), +events_of,
                              static_cast<void *>(&call));
    } catch (const Error &) {
        if (call.thrown) {
            std::rethrow_exception(call.thrown);
        }
        throw;
    }
}
/// What an identifier names.
enum class IdKind : std::int32_t {
    User = ROOMLET_ID_USER,
    Room = ROOMLET_ID_ROOM,
    RoomAlias = ROOMLET_ID_ROOM_ALIAS,
    Event = ROOMLET_ID_EVENT,
    Server = ROOMLET_ID_SERVER,
    Key = ROOMLET_ID_KEY,
};
/// A JSON object: `local`, `server`, `host`, `port`. Throws if `text` is not an identifier of this kind.
inline std::string parse_id(IdKind kind, Text text) {
    return detail::answer(roomlet_tool_parse_id, static_cast<std::int32_t>(kind), detail::b(text));
}
/// A JSON list.
inline std::string room_versions() {
    return detail::answer(roomlet_tool_room_versions);
}
/// A JSON object.
inline std::string room_version(Text id) {
    return detail::answer(roomlet_tool_room_version, detail::b(id));
}

} // namespace toolkit

} // namespace roomlet

#endif
