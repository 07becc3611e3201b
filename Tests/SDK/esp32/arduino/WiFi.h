// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "Arduino.h"

enum { WL_CONNECTED = 3 };

struct WiFiStation {
    void begin(const char*, const char*) {}
    int status() { return WL_CONNECTED; }
};

static WiFiStation WiFi;
