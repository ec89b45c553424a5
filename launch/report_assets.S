// What report.html is made from, inside the program: the template and Chart.js (the build's include path finds both).
        .section .rodata
        .global elbow_report_template_begin
        .global elbow_report_template_end
        .global elbow_chart_js_begin
        .global elbow_chart_js_end
elbow_report_template_begin:
        .incbin "launch/figures/report.html"
elbow_report_template_end:
        .byte 0
elbow_chart_js_begin:
        .incbin "chart.min.js"
elbow_chart_js_end:
        .byte 0
        .section .note.GNU-stack, "", %progbits
