#include "runtime/network/netlink/conntrack.h"
