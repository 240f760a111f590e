#include "runtime/network/netns.h"
