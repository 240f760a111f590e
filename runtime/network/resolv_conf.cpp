#include "runtime/network/resolv_conf.h"
