#include "runtime/network/services/rules.h"
