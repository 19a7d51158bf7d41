#include <iostream>
#include <map>
#include <roomlet.hpp>

struct Network : roomlet::Host {
    std::map<std::string, roomlet::Server *> servers;
    // A real host sends the request by HTTP to request.destination.
    void send(roomlet::Request request, roomlet::Reply reply) override {
        auto answer = std::make_shared<roomlet::Reply>(std::move(reply));
        servers.at(request.destination)->handle_request(request, [answer](auto response) { answer->respond(response); });
    }
};
int main() {
    auto network = std::make_shared<Network>();
    roomlet::Config config;
    roomlet::Server one((config.server_name = "one.example", config), network);
    roomlet::Server two((config.server_name = "two.example", config), network);
    network->servers = {{"one.example", &one}, {"two.example", &two}};
    auto alice = one.create_account("alice").get(), bob = two.create_account("bob").get();
    auto room = one.create_room(alice, R"({"name":"First light","invite":[")" + bob + R"("]})").get();
    two.join(bob, room).get();
    std::string content = R"({"m.text":[{"body":"hello from alice"}]})", json;
    auto hello = one.send(alice, room, "m.message", content).get();
    for (auto updates = two.updates(); json.find(hello) == std::string::npos;) json = updates.next(1).get().at(0).json;
    // A real host parses the JSON.
    std::cout << bob << " reads " << json.substr(json.find("{\"m.text\""), content.size()) << "\n";
    one.close();
    two.close();
}
