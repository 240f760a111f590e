#pragma once
// Makes an Object from its stored text without building the DOM of the whole text, which is what a
// start with many objects would otherwise spend its time on. Any thread.
#include <string>

#include "api/base/result.h"
#include "api/machinery/object.h"

namespace moth::store {

// The same object as Object::from_text gives for every text that is JSON. InternalError when it is
// no JSON object; damage behind the metadata goes unnoticed, for which the rows have checksums.
Result<ObjectPtr> load_object(std::string text);

}  // namespace moth::store
