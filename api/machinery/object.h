#pragma once
// Object: one version of one Kubernetes object. Immutable and shared: reads, lists and watches hand
// out pointers, a write makes a new Object. What is kept is the canonical JSON text (m: a 3 KB pod
// is 18 KB as DOM) and the decoded metadata; the DOM and a typed view are filled on demand.
//
// Threads: text(), meta(), api_version(), kind(), parse() on any. dom() and view() on the control
// thread only, since they cache.
#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>

#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/machinery/meta.h"

namespace moth {

class Object;
using ObjectPtr = std::shared_ptr<const Object>;

class Object : public std::enable_shared_from_this<Object> {
 public:
  // From a DOM that holds apiVersion, kind and metadata (resourceVersion included when stored).
  static ObjectPtr from_json(const Json& dom);
  // From canonical text, e.g. a row of the database. InternalError when it is no JSON object.
  static Result<ObjectPtr> from_text(std::string text);

  const std::string& text() const { return text_; }
  // The text as a chunk that keeps the object alive; for responses without a copy.
  std::shared_ptr<const std::string> shared_text() const;
  const Meta& meta() const { return meta_; }
  const std::string& name() const { return meta_.name; }
  const std::string& ns() const { return meta_.ns; }
  const std::string& uid() const { return meta_.uid; }
  const std::string& api_version() const { return api_version_; }
  const std::string& kind() const { return kind_; }

  // A DOM of the caller's own, e.g. to edit; whole, with managedFields. Any thread.
  Json parse() const;
  // The cached DOM without managedFields; kept while among the 256 used last. Control thread.
  std::shared_ptr<const Json> dom() const;

  // A typed view, built by `View(const Object&)` at the first call and kept for the life of the
  // object; every caller of one kind uses one View type. Control thread.
  template <class View>
  const View& view() const {
    if (!view_ || *view_type_ != typeid(View)) {
      view_ = std::make_shared<const View>(*this);
      view_type_ = &typeid(View);
    }
    return *static_cast<const View*>(view_.get());
  }

  // Drops what dom() and view() keep; for a version that only its history still holds, since
  // references to a view end here. Control thread.
  void drop_caches() const {
    dom_.reset();
    view_.reset();
  }

  struct Private {};
  Object(Private, std::string text, const Json& dom);

 private:
  friend class DomCache;
  std::string text_;
  std::string api_version_, kind_;
  Meta meta_;
  mutable std::shared_ptr<const Json> dom_;
  mutable std::shared_ptr<const void> view_;
  mutable const std::type_info* view_type_ = nullptr;
};

// Edits a copy of an object's DOM: `Draft draft(*pod); draft.json()["spec"]... ; draft.json()`.
class Draft {
 public:
  explicit Draft(const Object& object);
  explicit Draft(Json dom);
  ~Draft();
  Draft(Draft&&) noexcept;
  Draft& operator=(Draft&&) noexcept;
  Json& json() { return *dom_; }
  const Json& json() const { return *dom_; }
  Json& metadata();
  Json& spec();
  Json& status();
  Json take() &&;

 private:
  std::unique_ptr<Json> dom_;
};

}  // namespace moth
