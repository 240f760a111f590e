#include "runtime/network/services/nft.h"
