// Two servers in one process: a room, an invite, messages both ways, a redaction, a restart from the file.
#include "roomlet.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <mutex>
#include <stdlib.h>

namespace {

using roomlet::Config;
using roomlet::Error;
using roomlet::Request;
using roomlet::Response;
using roomlet::Server;
using roomlet::Updates;

/// Carries requests between servers of this process.
class Relay : public roomlet::Host {
public:
    void send(Request request, roomlet::Reply reply) override {
        std::lock_guard<std::mutex> lock(mutex_);
        auto server = servers_.find(request.destination);
        if (server == servers_.end()) {
            reply.fail("no such server");
            return;
        }
        auto shared = std::make_shared<roomlet::Reply>(std::move(reply));
        server->second->handle_request(request, [shared](Response response) { shared->respond(response); });
    }

    void reach(Server &server) {
        std::lock_guard<std::mutex> lock(mutex_);
        servers_[server.name()] = &server;
    }

    void forget(const std::string &name) {
        std::lock_guard<std::mutex> lock(mutex_);
        servers_.erase(name);
    }

private:
    std::mutex mutex_;
    std::map<std::string, Server *> servers_;
};

class TwoServers : public ::testing::Test {
protected:
    TwoServers() {
        char name[] = "/tmp/roomlet-cpp-XXXXXX";
        dir_ = mkdtemp(name);
        one_ = open("one.example");
        two_ = open("two.example");
    }

    ~TwoServers() override {
        close(one_);
        close(two_);
        EXPECT_EQ(roomlet_live_handles(), 0u);
        EXPECT_EQ(relay_.use_count(), 1);
        std::filesystem::remove_all(dir_);
    }

    std::unique_ptr<Server> open(const std::string &name) {
        Config config;
        config.server_name = name;
        config.store_path = dir_ + "/" + name + ".db";
        config.backoff_first_ms = 50;
        config.open_rooms = 1;
        config.cache_bytes = 1;
        auto server = std::make_unique<Server>(config, relay_);
        relay_->reach(*server);
        return server;
    }

    void close(std::unique_ptr<Server> &server) {
        relay_->forget(server->name());
        server.reset();
    }

    /// Reads until an update contains `part`, and gives its token.
    static std::string await(Updates &updates, const std::string &part) {
        for (;;) {
            auto batch = updates.next(1).get_for(20000);
            if (!batch) {
                ADD_FAILURE() << "no update contains " << part;
                return {};
            }
            if (batch->at(0).json.find(part) != std::string::npos) {
                return batch->at(0).token;
            }
        }
    }

    static std::string text(const std::string &body) { return "{\"m.text\":[{\"body\":\"" + body + "\"}]}"; }

    std::string dir_;
    std::shared_ptr<Relay> relay_ = std::make_shared<Relay>();
    std::unique_ptr<Server> one_, two_;
};

TEST_F(TwoServers, TalkAndRemember) {
    auto alice = one_->create_account("alice").get();
    auto dan = two_->create_account("dan").get();
    EXPECT_EQ(alice, "@alice:one.example");
    auto one_updates = one_->updates();
    auto two_updates = std::make_optional(two_->updates());

    auto room = one_->create_room(alice, R"({"name":"First light"})").get();
    one_->invite(alice, room, dan).get();
    await(*two_updates, R"("membership":"invite")");
    EXPECT_NE(two_->invite_preview(dan, room).get().find("First light"), std::string::npos);
    two_->join(dan, room).get();

    auto hello = one_->send(alice, room, "m.message", text("hello dan"), "txn1").get();
    EXPECT_EQ(one_->send(alice, room, "m.message", text("hello dan"), "txn1").get(), hello);
    await(*two_updates, hello);
    auto reply = two_->send(dan, room, "m.message", text("hello alice")).get();
    await(one_updates, reply);

    auto redaction = one_->redact(alice, room, hello, "typo").get();
    auto kept = await(*two_updates, redaction);
    auto page = two_->timeline(dan, room).get();
    EXPECT_NE(page.find(R"("redacted_by":")" + redaction + '"'), std::string::npos);
    EXPECT_EQ(page.find("hello dan"), std::string::npos);
    EXPECT_NE(page.find("hello alice"), std::string::npos);

    two_updates.reset();
    close(two_);
    two_ = open("two.example");
    EXPECT_EQ(two_->timeline(dan, room).get(), page);
    two_updates.emplace(two_->updates(kept));
    auto back = one_->send(alice, room, "m.message", text("welcome back")).get();
    EXPECT_GT(std::stoull(await(*two_updates, back)), std::stoull(kept));
}

/// The create event of a room of another server: an archive of one line.
const char *const CREATE =
    "{\"auth_events\":[],\"content\":{\"room_version\":\"11\"},\"depth\":1,\"hashes\":{\"sha2"
    "56\":\"r3d7JIL3rvXf4MArzCmxgUyRG6fn8lDzgMMXmyIW2k8\"},\"origin_server_ts\":1700000000000"
    ",\"prev_events\":[],\"room_id\":\"!q6xDk2CZexjajHiZlF:a.test\",\"sender\":\"@alice:a.tes"
    "t\",\"signatures\":{\"a.test\":{\"ed25519:r017019\":\"m7ApWbszPJxLg78n2aYNpZ71xSoidk/at1"
    "mFAi7kADPhBbjC+HZpogln155XLX2eZ/Avh2HbLtSGyqzxkUJIDg\"}},\"state_key\":\"\",\"type\":\"m"
    ".room.create\"}";

/// What `TalkAndRemember` does not tell of.
TEST_F(TwoServers, ModerateAndRead) {
    auto alice = one_->create_account("alice").get();
    auto bob = one_->create_account("bob").get();
    EXPECT_EQ(one_->accounts().get(), R"(["@alice:one.example","@bob:one.example"])");
    auto room = one_->create_room(alice, R"({"preset":"public","version":"11"})").get();
    auto bob_is = [&](const std::string &membership) {
        auto member = one_->state_event(alice, room, "m.room.member", bob).get();
        return member.find("\"membership\":\"" + membership + '"') != std::string::npos;
    };

    one_->join(bob, room).get();
    EXPECT_TRUE(bob_is("join"));
    EXPECT_EQ(one_->members(alice, room, "join").get(),
              R"([{"user_id":"@alice:one.example","membership":"join"},{"user_id":"@bob:one.example","membership":"join"}])");
    EXPECT_EQ(one_->rooms(bob).get(), R"([{"room_id":")" + room + R"(","membership":"join"}])");
    one_->leave(bob, room).get();
    EXPECT_TRUE(bob_is("leave"));
    one_->join(bob, room).get();
    one_->kick(alice, room, bob, "calm down").get();
    EXPECT_TRUE(bob_is("leave"));
    one_->ban(alice, room, bob).get();
    EXPECT_TRUE(bob_is("ban"));
    one_->unban(alice, room, bob).get();
    EXPECT_TRUE(bob_is("leave"));

    auto topic = one_->set_state(alice, room, "m.room.topic", "", R"({"topic":"New"})").get();
    auto event = one_->event(alice, room, topic).get();
    EXPECT_EQ(one_->state_event(alice, room, "m.room.topic", "").get(), event);
    EXPECT_NE(one_->state(alice, room).get().find(event), std::string::npos);

    one_->trim_updates(one_->last_update().get()).get();
    auto updates = one_->updates();
    auto newer = one_->set_state(alice, room, "m.room.topic", "", R"({"topic":"Newer"})").get();
    EXPECT_FALSE(await(updates, newer).empty());

    auto replaced = one_->upgrade_room(alice, room, "12", {bob}).get();
    EXPECT_NE(one_->state_event(alice, room, "m.room.tombstone", "").get().find(replaced), std::string::npos);
    EXPECT_NE(one_->state_event(alice, replaced, "m.room.create", "").get().find(R"("additional_creators":[")" + bob),
              std::string::npos);

    auto archive = dir_ + "/room.jsonl";
    std::ofstream(archive) << CREATE;
    EXPECT_EQ(
        one_->import_room(archive, true).get(),
        R"({"accepted":1,"first_fault":null,"known":0,"left_out":0,"rejected":0,"room_id":"!q6xDk2CZexjajHiZlF:a.test","soft_failed":0})");

    auto second = one_->set_state(alice, replaced, "m.room.topic", "", R"({"topic":"2"})").get();
    EXPECT_NE(one_->purge_history(replaced, second).get(), "");
    EXPECT_NE(one_->check_store(true).get().find(R"("faults":[])"), std::string::npos);
    auto copy = dir_ + "/copy.db";
    one_->backup(copy).get();
    EXPECT_TRUE(std::filesystem::exists(copy));
    one_->leave(alice, replaced).get();
    one_->forget_room(replaced).get();
    EXPECT_EQ(one_->rooms(alice).get().find(replaced), std::string::npos);

    one_->wake();
    one_->close();
    EXPECT_THROW(one_->accounts(), Error);
}

TEST_F(TwoServers, ThrowWhatWentWrong) {
    try {
        one_->rooms("nobody");
        FAIL() << "a bad user id was taken";
    } catch (const Error &error) {
        EXPECT_EQ(error.code(), ROOMLET_BAD_ID);
        EXPECT_EQ(error.errcode(), "M_INVALID_PARAM");
        EXPECT_STREQ(error.what(), "`user_id`: user id \"nobody\": does not begin with `@`");
    }
    try {
        one_->rooms("@nobody:one.example").get();
        FAIL() << "an unknown user was taken";
    } catch (const Error &error) {
        EXPECT_EQ(error.code(), ROOMLET_UNKNOWN_USER);
    }
}

TEST_F(TwoServers, CancelWhatWaits) {
    auto updates = one_->updates(one_->last_update().get());
    auto next = updates.next();
    EXPECT_FALSE(next.get_for(1).has_value());
    next.cancel();
    try {
        next.get();
        FAIL() << "a cancelled command gave a result";
    } catch (const Error &error) {
        EXPECT_EQ(error.code(), ROOMLET_CANCELLED);
    }
}

/// Writes down what it is asked, and refuses eve, invites and `x.refused`.
class Judge : public Relay {
public:
    void updates_available(std::string_view token) override { note("updates " + std::to_string(!token.empty())); }
    void accept_invite(const std::string &room, const std::string &sender, const std::string &invitee,
                       roomlet::Question question) override {
        note("invite " + room + ' ' + sender + ' ' + invitee);
        question.answer(false);
    }
    void accept_join(const std::string &room, const std::string &user, roomlet::Question question) override {
        note("join " + room + ' ' + user);
        question.answer(user.rfind("@eve:", 0) != 0);
    }
    void accept_request(const std::string &origin, const std::string &method, const std::string &target,
                        roomlet::Question question) override {
        note("request " + origin + ' ' + method + ' ' + target.substr(0, 20));
        question.answer(true);
    }
    void accept_event(const std::string &room, const std::string &event, const std::string &sender,
                      const std::string &type, roomlet::Question question) override {
        note("event " + room + ' ' + event + ' ' + sender + ' ' + type);
        question.answer(type != "x.refused");
    }

    /// Waits until it was asked this.
    void await(const std::string &line) {
        std::unique_lock<std::mutex> lock(mutex_);
        auto found = [&] { return std::find(lines_.begin(), lines_.end(), line) != lines_.end(); };
        EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), found)) << line;
    }

private:
    void note(std::string line) {
        std::lock_guard<std::mutex> lock(mutex_);
        lines_.push_back(std::move(line));
        changed_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> lines_;
};

TEST(Server, AsksItsPolicy) {
    auto judge = std::make_shared<Judge>();
    Config config;
    Server one((config.server_name = "one.example", config), judge);
    Server two((config.server_name = "two.example", config), judge);
    judge->reach(one);
    judge->reach(two);
    auto alice = one.create_account("alice").get(), eve = one.create_account("eve").get();
    auto bob = two.create_account("bob").get();
    auto code = [](auto &&pending) {
        try {
            pending.get();
            return ROOMLET_OK;
        } catch (const Error &error) {
            return error.code();
        }
    };

    auto room = two.create_room(bob, R"({"preset":"public"})").get();
    EXPECT_EQ(code(one.join(eve, room, {"two.example"})), ROOMLET_REMOTE);
    EXPECT_EQ(code(one.join(alice, room, {"two.example"})), ROOMLET_OK);
    judge->await("join " + room + ' ' + eve);
    judge->await("join " + room + ' ' + alice);
    judge->await("request one.example PUT /_matrix/federation/");
    judge->await("updates 1");

    auto refused = one.send(alice, room, "x.refused", "{}").get();
    auto taken = one.send(alice, room, "x.taken", "{}").get();
    judge->await("event " + room + ' ' + refused + ' ' + alice + " x.refused");
    judge->await("event " + room + ' ' + taken + ' ' + alice + " x.taken");
    EXPECT_EQ(code(two.event(bob, room, refused)), ROOMLET_UNKNOWN_EVENT);

    auto other = one.create_room(alice).get();
    EXPECT_EQ(code(one.invite(alice, other, bob)), ROOMLET_REMOTE);
    judge->await("invite " + other + ' ' + alice + ' ' + bob);
    one.close();
    two.close();
}

/// The fields that are functions.
TEST(Server, AsksForTimeAndRandomness) {
    std::atomic<std::size_t> filled{0};
    Config config;
    config.server_name = "one.example";
    config.now_ms = [] { return std::int64_t{1700000000}; };
    config.random = [&](std::uint8_t *bytes, std::size_t len) {
        for (std::size_t i = 0; i < len; i++) {
            bytes[i] = static_cast<std::uint8_t>(filled++);
        }
    };
    Server server(config, std::make_shared<Relay>());
    EXPECT_GE(filled, 32u);
    auto alice = server.create_account("alice").get();
    auto room = server.create_room(alice).get();
    EXPECT_NE(server.state_event(alice, room, "m.room.create", "").get().find("\"origin_server_ts\":1700000000,"),
              std::string::npos);
}

TEST(Server, RefusesToHaveNoHost) {
    Config config;
    config.server_name = "one.example";
    try {
        Server server(config, nullptr);
        FAIL() << "a server was opened";
    } catch (const Error &error) {
        EXPECT_EQ(error.code(), ROOMLET_BAD_ARGUMENT);
    }
}

/// A body is read up to the limit that the header tells.
TEST(Server, AnswersLargeBodies) {
    Config config;
    config.server_name = "one.example";
    Server server(config, std::make_shared<Relay>());
    for (std::size_t more : {0, 1}) {
        Request request{"one.example", "PUT", "/_matrix/federation/v1/send/1", {}, {}};
        request.body.assign(ROOMLET_MAX_REQUEST_BYTES + more, ' ');
        std::promise<std::uint16_t> status;
        server.handle_request(request, [&](Response response) { status.set_value(response.status); });
        EXPECT_EQ(status.get_future().get(), more == 0 ? 400 : 413);
    }
}

/// What throws in a callback is an answer.
TEST(Server, SurvivesWhatItsHostThrows) {
    struct Thrower : roomlet::Host {
        void send(Request, roomlet::Reply) override { throw 1; }
        void log(std::int32_t, std::string_view) override { throw std::runtime_error("log"); }
        void accept_request(const std::string &, const std::string &, const std::string &, roomlet::Question) override {
            throw std::runtime_error("no opinion");
        }
    };
    Config config;
    config.server_name = "one.example";
    Server server(config, std::make_shared<Thrower>());
    auto alice = server.create_account("alice").get();
    try {
        server.join(alice, "!x:two.example", {"two.example"}).get();
        FAIL() << "a room was joined";
    } catch (const Error &error) {
        EXPECT_EQ(error.code(), ROOMLET_UNREACHABLE);
        EXPECT_NE(std::string(error.what()).find("the host gave no response"), std::string::npos);
    }
}

} // namespace
