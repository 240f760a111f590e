#pragma once
// DescribeWriter: gathers tab-separated lines of a description; sections that were flushed are
// aligned on their own. And the parts that all descriptions share.
#include <fmt/format.h>

#include <string>
#include <string_view>

#include "api/base/json.h"

namespace moth::ctl {

// The object itself, or an empty one that lives for ever, so that it can be walked in place.
inline const Json& object_or_empty(const Json* object) {
  static const Json kEmpty = Json::object();
  return object && object->is_object() ? *object : kEmpty;
}

class DescribeWriter {
 public:
  // A line at `level` (two spaces each); `text` carries its own newline.
  template <class... T>
  void write(int level, fmt::format_string<T...> format, T&&... values) {
    text_.append(static_cast<std::size_t>(level) * 2, ' ');
    text_ += fmt::format(format, std::forward<T>(values)...);
  }
  void raw(std::string_view text) { text_ += text; }
  // What follows is aligned independently of what came before.
  void flush();
  std::string finish();
  // The text with its tabs, not aligned.
  const std::string& unaligned() const { return text_; }

 private:
  std::string text_, done_;
};

// "Labels:\ta=b\n\tc=d\n"; `<none>` without entries.
void write_labels(DescribeWriter& out, std::string_view title, const Json* labels,
                  std::string_view indent = "");
void write_annotations(DescribeWriter& out, std::string_view title, const Json* annotations,
                       std::string_view indent = "");
void write_tolerations(DescribeWriter& out, const Json* tolerations, std::string_view indent = "");
// Name, Namespace (unless empty).
void write_name(DescribeWriter& out, const Json& object);
// Containers of a pod or a template; `statuses` may be null. `space` indents those of a template.
void write_containers(DescribeWriter& out, std::string_view label, const Json* containers,
                      const Json* statuses, const Json* pod, std::string_view space);
void write_volumes(DescribeWriter& out, const Json* volumes, std::string_view space);
void write_pod_template(DescribeWriter& out, const Json& pod_template);
void write_events(DescribeWriter& out, const Json& events);
// Name, Namespace (unless empty), Labels, Annotations.
void write_head(DescribeWriter& out, const Json& object);
// The source of a pod's or a persistent volume, whose member says what it is.
void write_volume_source(DescribeWriter& out, const Json& volume);
// "CreationTimestamp" and other times: RFC 1123 with the zone's offset. Nothing without a time.
void write_time(DescribeWriter& out, std::string_view title, const std::string& rfc3339);
// "a=b,c=d"; "<none>" without entries.
std::string pairs_text(const Json* map);
// "a,b"; "" without entries. And as Go prints a list: "[a b]".
std::string joined_text(const Json* list, std::string_view by = ",");
std::string bracketed_text(const Json* list);
// A member's scalar or `none`.
std::string scalar_or(const Json& object, std::string_view key, std::string_view none);

// Shorthands for reading. Texts of members; "" when absent.
std::string text_at(const Json& object, std::string_view first, std::string_view second);
const Json* metadata_member(const Json& object, std::string_view key);
// "Mon, 02 Jan 2006 15:04:05 -0700" in local time; "" for no time.
std::string long_time(std::string_view rfc3339);
std::string age_of(std::string_view rfc3339);
std::string controller_text(const Json& object);  // "ReplicaSet/web-1" or ""
std::string scalar_text(const Json& value);       // as Go's %v

}  // namespace moth::ctl
