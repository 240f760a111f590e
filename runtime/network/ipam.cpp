#include "runtime/network/ipam.h"
