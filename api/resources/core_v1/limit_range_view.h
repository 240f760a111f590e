#pragma once
// LimitRangeView: what admission acts upon. Built and kept by `object.view<LimitRangeView>()` on
// the control thread; valid as long as its object.
#include <cstdint>
#include <vector>

#include "api/machinery/object.h"
#include "api/resources/core_v1/resource_list.h"

namespace moth::resources {

struct LimitItem {
  // Container: each container by itself; Pod: its containers together; Claim: the storage that a
  // PersistentVolumeClaim asks for. Other: a type that means nothing here.
  enum class Type : std::uint8_t { kContainer, kPod, kClaim, kOther };
  Type type = Type::kOther;
  ResourceList min, max;
  ResourceList default_limit, default_request;  // of containers that name none
  ResourceList max_ratio;                       // limit divided by request at most
};

class LimitRangeView {
 public:
  explicit LimitRangeView(const Object& object);

  const Meta& meta() const { return *meta_; }

  std::vector<LimitItem> limits;

 private:
  const Meta* meta_;
};

}  // namespace moth::resources
