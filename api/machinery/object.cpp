#include "api/machinery/object.h"

#include <array>

#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "api/machinery/managed_text.h"

namespace moth {

// The DOMs used last, round robin. One per thread that calls dom(): in effect the control thread.
class DomCache {
 public:
  static void remember(const Object& object) {
    thread_local DomCache cache;
    auto& slot = cache.slots_[cache.next_];
    cache.next_ = (cache.next_ + 1) % cache.slots_.size();
    if (auto old = slot.lock()) old->dom_.reset();
    slot = object.weak_from_this();
  }

 private:
  std::array<std::weak_ptr<const Object>, 256> slots_;
  std::size_t next_ = 0;
};

Object::Object(Private, std::string text, const Json& dom)
    : text_(std::move(text)),
      api_version_(string_or(dom, "apiVersion")),
      kind_(string_or(dom, "kind")),
      meta_(parse_meta(dom)) {
  // It grew by doubling, and it stays.
  text_.shrink_to_fit();
}

ObjectPtr Object::from_json(const Json& dom) {
  return std::make_shared<const Object>(Private{}, dump_json(dom), dom);
}

Result<ObjectPtr> Object::from_text(std::string text) {
  Json dom = Json::parse(text, nullptr, false);
  if (!dom.is_object()) return fail(Error::internal("a stored object is not a JSON object"));
  return std::make_shared<const Object>(Private{}, std::move(text), dom);
}

std::shared_ptr<const std::string> Object::shared_text() const {
  return {shared_from_this(), &text_};
}

Json Object::parse() const {
  return Json::parse(text_, nullptr, false);
}

std::shared_ptr<const Json> Object::dom() const {
  if (!dom_) {
    // Without managedFields: half of a pod, and whoever edits an object starts from parse().
    dom_ = std::make_shared<const Json>(Json::parse(without_managed_fields(text_), nullptr, false));
    DomCache::remember(*this);
  }
  return dom_;
}

Draft::Draft(const Object& object) : dom_(std::make_unique<Json>(object.parse())) {}
Draft::Draft(Json dom) : dom_(std::make_unique<Json>(std::move(dom))) {}
Draft::~Draft() = default;
Draft::Draft(Draft&&) noexcept = default;
Draft& Draft::operator=(Draft&&) noexcept = default;

Json& Draft::metadata() {
  return (*dom_)["metadata"];
}
Json& Draft::spec() {
  return (*dom_)["spec"];
}
Json& Draft::status() {
  return (*dom_)["status"];
}
Json Draft::take() && {
  return std::move(*dom_);
}

}  // namespace moth
