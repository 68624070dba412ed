// The same stream, cut in two at every place, and into single characters.
const text =
  ": heartbeat\nid: 7.1\n\nid: 7.2\r\nevent: a\r\ndata: 1\r\ndata: 2\r\n\r\ndata:é\r\rretry: 50\n\n";
return import(document.querySelector("script").src.replace("app.js", "frames.js")).then(({ FrameReader }) => {
  const read = (parts) => {
    const reader = new FrameReader();
    const frames = parts.flatMap((part) => reader.push(part));
    return [frames, reader.lastEventId, reader.retry];
  };
  const halves = Array.from(text, (_, cut) => read([text.slice(0, cut), text.slice(cut)]));
  return [...halves, read([...text])];
});
