#pragma once
// Makes an Object from its stored text without building the DOM of the whole text, which is what a
// start with many objects would otherwise spend its time on. Any thread.
#include <string>

#include "api/base/result.h"
#include "api/machinery/object.h"

namespace moth::store {

// The same object as Object::from_text gives, for any text. InternalError when it is no JSON
// object.
Result<ObjectPtr> load_object(std::string text);

}  // namespace moth::store
