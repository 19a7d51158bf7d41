// The toolkit: functions without a server.
#include <roomlet.hpp>

#include <gtest/gtest.h>

namespace {

namespace toolkit = roomlet::toolkit;
const std::string seed = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";

/// An event of a room of version 11, signed.
std::string event_of(const std::string &type, const std::string &key, const std::string &content,
                     const std::string &cites, int time) {
    auto json = R"({"type":")" + type + R"(","state_key":")" + key +
                R"(","sender":"@a:domain","room_id":"!x:domain","content":)" + content + R"(,"prev_events":[],"auth_events":[)" +
                cites + R"(],"depth":1,"origin_server_ts":)" + std::to_string(time) + "}";
    return toolkit::sign_event(json, "11", "domain", "ed25519:1", seed);
}

roomlet_code code_of(const std::function<void()> &call) {
    try {
        call();
    } catch (const roomlet::Error &error) {
        return error.code();
    }
    return ROOMLET_OK;
}

} // namespace

TEST(Toolkit, SignsAndVerifies) {
    EXPECT_EQ(toolkit::canonical_json(R"({ "b": 1, "a": [] })"), R"({"a":[],"b":1})");
    auto key = toolkit::public_key(seed);
    EXPECT_EQ(key, "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI");
    auto object = toolkit::sign_json(R"({"two":"Two","one":1})", "domain", "ed25519:1", seed);
    EXPECT_EQ(object, R"({"one":1,"signatures":{"domain":{"ed25519:1":"KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw"}},"two":"Two"})");
    toolkit::verify_json(object, "domain", "ed25519:1", key);
    EXPECT_EQ(code_of([&] { toolkit::verify_json("{}", "domain", "ed25519:1", key); }), ROOMLET_MISSING_SIGNATURE);
    auto event = event_of("m.room.name", "", "{}", "", 1);
    EXPECT_EQ(toolkit::verify_event(event, "11", R"({"domain":{"ed25519:1":")" + key + "\"}}"), event);
    toolkit::check_event(event, "11");
    EXPECT_EQ(code_of([] { toolkit::check_event("{}", "11"); }), ROOMLET_BAD_EVENT);
    EXPECT_EQ(toolkit::required_signers(event, "11"), R"(["domain"])");
    EXPECT_EQ(toolkit::content_hash("{}"), "RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o");
    EXPECT_EQ(toolkit::redact(R"({"type":"x","content":{"a":1}})", "11"), R"({"content":{},"type":"x"})");
}

TEST(Toolkit, JudgesAndResolves) {
    auto create = event_of("m.room.create", "", "{}", "", 1);
    auto quoted = [](const std::string &event) { return '"' + toolkit::event_id(event, "11") + '"'; };
    auto join = event_of("m.room.member", "@a:domain", R"({"membership":"join"})", quoted(create), 2);
    auto both = quoted(create) + "," + quoted(join);
    auto one = event_of("m.room.topic", "", R"({"topic":"1"})", both, 3);
    auto two = event_of("m.room.topic", "", R"({"topic":"2"})", both, 4);
    EXPECT_EQ(toolkit::check_auth_events(two, {create, join}, "11"), R"({"allowed":true})");
    EXPECT_NE(toolkit::check_auth(two, {create}, "11").find(R"("rule":"AUTH-17")"), std::string::npos);
    EXPECT_NE(toolkit::auth_types(two, "11").find(R"(["m.room.create",""])"), std::string::npos);
    EXPECT_EQ(toolkit::select_auth_events(two, {create, join}, "11"), "[" + both + "]");
    auto states = "[[" + both + "," + quoted(one) + "],[" + both + "," + quoted(two) + "]]";
    auto resolved = "[" + both + "," + quoted(two) + "]";
    toolkit::Texts all{create, join, one, two};
    EXPECT_EQ(toolkit::resolve_state("11", states, all), resolved);
    auto source = [&](const std::string &ids) {
        toolkit::Texts found;
        for (const auto &event : all) {
            if (ids.find(quoted(event)) != std::string::npos) {
                found.push_back(event);
            }
        }
        return found;
    };
    EXPECT_EQ(toolkit::resolve_state_from("11", states, source), resolved);
    EXPECT_THROW(toolkit::resolve_state_from("11", states, [](auto) -> toolkit::Texts { throw 7; }), int);
}

TEST(Toolkit, KnowsIdentifiersAndVersions) {
    EXPECT_EQ(toolkit::parse_id(toolkit::IdKind::User, "@a:b:80"), R"({"host":"b","local":"a","port":80,"server":"b:80"})");
    EXPECT_EQ(code_of([] { toolkit::parse_id(toolkit::IdKind::Room, "@a:b"); }), ROOMLET_BAD_ID);
    EXPECT_NE(toolkit::room_versions().find(R"("12")"), std::string::npos);
    EXPECT_NE(toolkit::room_version("12").find(R"("state_resolution":"2.1")"), std::string::npos);
}

TEST(Toolkit, Example) {
    auto event = toolkit::sign_event(
        R"({"type":"m.room.create","state_key":"","sender":"@a:domain","room_id":"!x:domain","content":{},
            "prev_events":[],"auth_events":[],"depth":1,"origin_server_ts":1})",
        "11", "domain", "ed25519:1", seed);
    auto id = toolkit::event_id(event, "11");
    auto verdict = toolkit::check_auth_events(event, {}, "11");
    EXPECT_EQ(id.size(), 44u);
    EXPECT_EQ(verdict, R"({"allowed":true})");
}
