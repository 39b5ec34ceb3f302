import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;

import org.apache.tika.io.TikaInputStream;
import org.apache.tika.metadata.Metadata;
import org.apache.tika.parser.AutoDetectParser;
import org.apache.tika.parser.ParseContext;
import org.apache.tika.parser.Parser;
import org.apache.tika.sax.BodyContentHandler;

/** Reads paths line by line and writes [text, seconds of CPU] line by line: Apache Tika as it comes, for the benchmark `rightness`. */
class TikaText {
    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        AutoDetectParser parser = new AutoDetectParser();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            long began = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
            String text = "";
            BodyContentHandler handler = new BodyContentHandler(-1);
            try (TikaInputStream stream = TikaInputStream.get(Path.of(line))) {
                ParseContext context = new ParseContext();
                context.set(Parser.class, parser); // attachments, too
                parser.parse(stream, handler, new Metadata(), context);
                text = handler.toString();
            } catch (Throwable failure) {
                text = handler.toString();
            }
            double seconds = (ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() - began) / 1e9;
            out.println("[\"" + escaped(text) + "\", " + seconds + "]");
        }
    }

    private static String escaped(String text) {
        StringBuilder escaped = new StringBuilder();
        for (char character : text.toCharArray()) {
            boolean plain = character >= ' ' && character < 127 && character != '"' && character != '\\';
            escaped.append(plain ? String.valueOf(character) : String.format("\\u%04x", (int) character));
        }
        return escaped.toString();
    }
}
