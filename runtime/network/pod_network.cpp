#include "runtime/network/pod_network.h"
