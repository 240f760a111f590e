#pragma once
// NodeView: what the scheduler and the node controllers act upon. Built and kept by
// `object.view<NodeView>()` on the control thread; valid as long as its object.
#include <string>
#include <string_view>
#include <vector>

#include "api/machinery/object.h"
#include "api/resources/conditions.h"
#include "api/resources/core_v1/pod_spec.h"

namespace moth::resources {

struct NodeAddress {
  std::string type, address;  // InternalIP, ExternalIP, Hostname ...
};

struct NodeImage {
  std::vector<std::string> names;
  std::int64_t size_bytes = 0;
};

class NodeView {
 public:
  explicit NodeView(const Object& object);

  const Meta& meta() const { return *meta_; }
  const std::string& name() const { return meta_->name; }
  const Labels& labels() const { return meta_->labels; }

  bool unschedulable = false;
  std::vector<Taint> taints;
  std::string pod_cidr;
  ResourceList capacity, allocatable;
  std::vector<Condition> conditions;
  std::vector<NodeAddress> addresses;
  std::vector<NodeImage> images;

  const Condition* condition(std::string_view type) const;
  bool is_ready() const;
  std::string internal_ip() const;  // "" when there is none
  std::string hostname() const;

 private:
  const Meta* meta_;
};

}  // namespace moth::resources
