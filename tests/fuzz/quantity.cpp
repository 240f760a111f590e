// Quantities: the canonical form reads back as the same amount and is its own canonical form.
#include "api/machinery/quantity.h"
#include "tests/fuzz/fuzz.h"

using namespace moth;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto quantity = Quantity::parse(fuzz::text_of(data, size));
  if (!quantity) return 0;
  std::string text = quantity->to_string();
  auto again = Quantity::parse(text);
  fuzz::check(again.has_value(), "a printed quantity is read back");
  fuzz::check(*again == *quantity, "a printed quantity is the same amount");
  fuzz::check(again->to_string() == text, "the canonical form is stable");
  Quantity sum = *quantity + *quantity;
  (void)(sum - *quantity).value();
  (void)sum.milli_value();
  (void)(-sum).as_double();
  return 0;
}
