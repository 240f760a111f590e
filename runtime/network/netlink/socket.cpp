#include "runtime/network/netlink/socket.h"
