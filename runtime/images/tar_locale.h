#pragma once
// libarchive converts names between the archive and the thread's locale, and in the "C" locale
// damages everything outside ASCII. While this lives, the thread's LC_CTYPE is C.UTF-8. Blocking
// code only: the thread must be the same at the end.
#include <locale.h>

namespace moth::images {

class TarLocale {
 public:
  TarLocale() {
    // One for all threads, kept: loading it again for each layer would cost more than it holds.
    static const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    if (utf8) previous_ = ::uselocale(utf8);
  }
  ~TarLocale() {
    if (previous_) ::uselocale(previous_);
  }
  TarLocale(const TarLocale&) = delete;
  TarLocale& operator=(const TarLocale&) = delete;

 private:
  locale_t previous_ = nullptr;
};

}  // namespace moth::images
