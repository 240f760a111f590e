#pragma once
// The kinds of the core group that are answered instead of stored: Binding, ComponentStatus.
// Control thread.
#include <functional>
#include <string>

#include "api/server/pipeline.h"

namespace moth::server {

// Makes the pipeline answer them. `store_failure` says why the store is not well, "" when it is; it
// lives as long as the pipeline. Before the first request.
void answer_core_kinds(Pipeline& pipeline, std::function<std::string()> store_failure);

}  // namespace moth::server
