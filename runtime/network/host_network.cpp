#include "runtime/network/host_network.h"
