#include "runtime/network/dns/server.h"
