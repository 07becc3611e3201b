// SPDX-License-Identifier: Apache-2.0
// Sends each line of the serial monitor to a gateway and prints the response. For the Arduino core of ESP32; no library is needed.
// Change the four constants; `certificate` is that of the authority that signed the gateway's certificate, or the development certificate.

#include <WiFi.h>
#include <WiFiClientSecure.h>

#include "parley_client.h"

const char* const network = "my network";
const char* const password = "my password";
const char* const host = "gateway.example";
const char certificate[] = R"(
-----BEGIN CERTIFICATE-----
…
-----END CERTIFICATE-----
)";

WiFiClientSecure tls;
parley::Client<WiFiClientSecure> client(tls, {
    host, 8443, "/v1/ws",
    []() -> uint32_t { return millis(); },
    []() -> uint32_t { return esp_random(); },
    nullptr,  // or a function that returns a token
});

void setup() {
    Serial.begin(115200);
    WiFi.begin(network, password);
    while (WiFi.status() != WL_CONNECTED) delay(100);
    configTime(0, 0, "pool.ntp.org");  // certificates are valid for a time
    while (time(nullptr) < 1700000000) delay(100);
    tls.setCACert(certificate);
    client.onText = [](const char*, const char* text) { Serial.print(text); };
    client.onEnd = [](const char*, const char* error) { Serial.println(error ? error : ""); };
}

void loop() {
    client.poll();
    if (!client.isBusy() && Serial.available()) client.say(Serial.readStringUntil('\n').c_str());
    delay(5);
}
