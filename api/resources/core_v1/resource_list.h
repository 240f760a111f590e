#pragma once
// ResourceList: amounts by resource name (cpu, memory, nvidia.com/gpu ...), and the sums that
// scheduling, quota and QoS are made of. Values and pure functions, free of threads.
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/machinery/quantity.h"

namespace moth::resources {

using ResourceList = std::map<std::string, Quantity, std::less<>>;

// Reads a map of quantities; null gives none, amounts that do not parse count as 0.
ResourceList parse_resource_list(const Json* json);
Json to_json(const ResourceList& list);
// Zero when absent.
Quantity amount(const ResourceList& list, std::string_view name);
void add(ResourceList& to, const ResourceList& more);
// For each name the larger of both.
void raise_to(ResourceList& to, const ResourceList& floor);

// What a pod asks for as a whole: max(sum(app) + sum(sidecars), max over each init container of it
// plus the sidecars started before it) + overhead. Pod-level resources replace cpu, memory and
// hugepages where given.
ResourceList pod_requests(const Json& pod_spec);
// The same over limits, where a container without a limit adds nothing.
ResourceList pod_limits(const Json& pod_spec);

// Guaranteed, Burstable or BestEffort.
std::string qos_class(const Json& pod_spec);

// nvidia.com/gpu and other names with a domain that is not kubernetes.io, and hugepages-*.
bool is_extended_resource(std::string_view name);
bool is_hugepages(std::string_view name);

}  // namespace moth::resources
