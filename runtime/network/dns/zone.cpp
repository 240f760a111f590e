#include "runtime/network/dns/zone.h"
