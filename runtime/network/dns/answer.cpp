#include "runtime/network/dns/answer.h"
