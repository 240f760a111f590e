#include "runtime/network/hosts_file.h"
