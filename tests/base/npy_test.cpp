#include <polyphony/base/npy.h>

#include <gmock/gmock.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>

namespace polyphony {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

fs::path place(const std::string& name) { return fs::path(::testing::TempDir()) / name; }

std::string npy(const std::string& header, const std::string& data) {
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size());
  bytes += '\0';
  return bytes + header + data;
}

void expect_error(const std::string& bytes, const std::string& fact) {
  write_file(place("bad.npy"), bytes);
  try {
    load_npy(place("bad.npy"));
    FAIL() << "no error, expected: " << fact;
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("bad.npy"));
    EXPECT_THAT(error.what(), HasSubstr(fact));
    EXPECT_THAT(error.remedy(), HasSubstr("numpy.save"));
  }
}

TEST(Npy, GivesBackShapeAndValues) {
  for (const std::vector<std::int64_t>& shape : {std::vector<std::int64_t>{2, 3}, {6}, {1, 6, 1}}) {
    save_npy(place("round.npy"), {shape, {1, 2, 3, 4, 5, 6.5F}});
    const NpyArray loaded = load_npy(place("round.npy"));
    EXPECT_EQ(loaded.shape, shape);
    EXPECT_THAT(loaded.values, ElementsAre(1, 2, 3, 4, 5, 6.5F));
  }
}

TEST(Npy, NarrowsDoubles) {
  const double value = 0.5;
  write_file(place("double.npy"), npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }",
                                      std::string(reinterpret_cast<const char*>(&value), 8)));
  EXPECT_THAT(load_npy(place("double.npy")).values, ElementsAre(0.5F));
}

TEST(Npy, RejectsWhatItCannotReadByName) {
  expect_error("hello, this is text", "no .npy file");
  expect_error(
      npy("{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }", std::string(8, '\0')),
      "<i8");
  expect_error(
      npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }", std::string(4, '\0')),
      "Fortran");
  expect_error(
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", std::string(8, '\0')),
      "truncated");
  expect_error(
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }", ""),
      "truncated");
}

}  // namespace
}  // namespace polyphony
