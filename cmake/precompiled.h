#pragma once
// What nearly every source includes anyway (see MothTargets.cmake). A header of ours that changes
// often does not belong here.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "api/base/executors.h"
#include "api/base/json.h"
#include "api/base/result.h"
#include "api/base/task.h"
