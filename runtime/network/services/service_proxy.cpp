#include "runtime/network/services/service_proxy.h"
