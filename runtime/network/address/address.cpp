#include "runtime/network/address/address.h"
