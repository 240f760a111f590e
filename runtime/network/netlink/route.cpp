#include "runtime/network/netlink/route.h"
