// SPDX-License-Identifier: Apache-2.0
// Runs the sketch for ESP32 as it stands, until the end of standard input and of the last response.
#include "arduino/Arduino.h"

#include "../../../deploy/examples/esp32/esp32.ino"

int main() {
    setup();
    const unsigned long begun = millis();
    while (!Serial.isOver || client.isBusy()) {
        if (millis() - begun > 30000) return 1;
        loop();
    }
    client.close();
    return 0;
}
