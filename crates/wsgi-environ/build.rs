//! Tells the code which Python it is for, and lets tests and benches find the
//! libpython they were linked against.

fn main() {
    // For `Py_GIL_DISABLED`.
    pyo3_build_config::use_pyo3_cfgs();
    // Without it the loader may pick another libpython of the same version, the
    // system's instead of the one whose headers were used. Nothing of this
    // reaches a wheel: arguments of a build script do not go to dependents.
    pyo3_build_config::add_libpython_rpath_link_args();
}
