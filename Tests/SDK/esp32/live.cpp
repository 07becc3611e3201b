// SPDX-License-Identifier: Apache-2.0
// The client for ESP32 against a gateway, whose loopback returns texts and measures audio. Connections are cut at random.
#include "arduino/Arduino.h"
#include "tls_socket.h"

#include <math.h>

#include "../../../deploy/examples/esp32/parley_client.h"

static WiFiClientSecure tls;
static parley::Client<WiFiClientSecure> client(tls, {
    "localhost", 8443, "/v1/ws", []() -> uint32_t { return uint32_t(millis()); }, []() -> uint32_t { return esp_random(); },
    []() -> const char* { return getenv("PARLEY_TEST_TOKEN"); },
});
static std::string response, transcript, failure;
static int ends = 0, connections = 0, cuts = 0;

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            printf("live.cpp:%d: %s: \"%s\", error \"%s\"\n", __LINE__, #condition, response.substr(0, 80).c_str(), failure.c_str()); \
            exit(1); \
        } \
    } while (0)

/// Runs the client until a condition holds, and cuts the connection after some milliseconds, if any.
template <class Condition> static void run(Condition isReached, long cutAfter = -1) {
    const unsigned long begun = millis();
    while (!isReached()) {
        if (cutAfter >= 0 && long(millis() - begun) >= cutAfter) {
            tls.cut();
            cuts++;
            cutAfter = -1;
        }
        client.poll();
        delay(1);
        CHECK(millis() - begun < 20000);
    }
}

int main(int count, char** arguments) {
    client.onText = [](const char*, const char* text) { response += text; };
    client.onTranscript = [](const char*, const char* text, bool) { transcript = text; };
    client.onEnd = [](const char*, const char* error) { ends++, failure = error ? error : ""; };
    client.onConnection = [](uint16_t code) { connections += code == 0; };
    if (count > 1 && !strcmp(arguments[1], "rejected")) {
        run([] { return client.isStopped(); });
        CHECK(!client.say("x") && connections == 0);
        return puts("rejected"), 0;
    }
    const int texts = 60;
    srand(1);
    for (int n = 0; n < texts; n++) {
        // Over 20 words, the loopback responds word by word.
        std::string text = "text " + std::to_string(n) + " \"\\\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
        if (n % 2) for (int word = 0; word < 40; word++) text += " word" + std::to_string(word);
        response.clear();
        ends = 0;
        const std::string id = client.say(text.c_str());
        CHECK(!client.say("another"));
        run([] { return !client.isBusy(); }, n % 3 == 0 ? rand() % 4 : -1);
        CHECK(response == text && failure == "" && ends == 1 && !id.empty());
    }
    CHECK(connections > texts / 6 && !client.say(std::string(2000, 'x').c_str()));
    // A recording, and one that is cut.
    for (int cut = 0; cut < 2; cut++) {
        run([] { return client.isOpen(); });
        transcript.clear();
        CHECK(client.listen(16000));
        int16_t samples[320];
        for (int chunk = 0; chunk < 100; chunk++) {
            for (int n = 0; n < 320; n++) samples[n] = int16_t(8000 * sin(2 * M_PI * 440 * (320 * chunk + n) / 16000));
            client.send(samples, 320);
            client.poll();
            if (cut && chunk == 50) tls.cut();
        }
        client.finish();
        run([] { return !client.isBusy() && client.isOpen(); });
        if (cut) CHECK(failure == "audio_dropped" || failure == "lost");
        else CHECK(failure == "" && transcript.find("2.0 s of pcm16 at 16000 Hz") == 0);
    }
    response.clear();
    CHECK(client.say("the end"));
    run([] { return !client.isBusy(); });
    CHECK(response == "the end");
    client.close();
    printf("%d texts and 2 recordings, %d cuts, %d connections\n", texts + 1, cuts + 1, connections);
    return 0;
}
