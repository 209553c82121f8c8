// What scrolls sideways can be reached with the keyboard, and nothing else is
// one more stop on the way: code and tables scroll on narrow windows only.
{
  const regions = document.querySelectorAll("pre, .table-wrapper");
  const update = () => {
    for (const region of regions) {
      if (region.scrollWidth > region.clientWidth) region.tabIndex = 0;
      else region.removeAttribute("tabindex");
    }
  };
  update();
  addEventListener("resize", update);
}
