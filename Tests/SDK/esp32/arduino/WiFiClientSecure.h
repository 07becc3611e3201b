// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "Arduino.h"
#include "../tls_socket.h"
