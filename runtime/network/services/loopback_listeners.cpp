#include "runtime/network/services/loopback_listeners.h"
